"""oruel accounts: creates, lists and credits accounts."""

from typing import Annotated, Any

import typer

from oruel.cli.options import with_options
from oruel.cli.store import STORE_OPTIONS, open_administration
from oruel.ledger.amount import Amount
from oruel.ledger.printable import Printable

NOTE = Printable(maximum=512)

accounts = typer.Typer(
    name="accounts",
    help="Create, list and credit the accounts to which API keys belong.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AccountName = Annotated[str, typer.Argument(metavar="ACCOUNT", show_default=False, help="Its name or its id.")]


@accounts.command("create")
@with_options(STORE_OPTIONS)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False, help="1 to 128 printable characters.")],
    credit: Annotated[
        str | None,
        typer.Option(metavar="AMOUNT", show_default=False, help="Make the account prepaid, with this balance in USD."),
    ] = None,
    as_json: AsJson = False,
    **flags: Any,
) -> None:
    """Create an account.

    Without --credit, its requests are recorded but not limited by a balance.
    """
    amount = None if credit is None else Amount().parse(credit, "--credit")
    given = Printable().parse(name, "NAME")
    with open_administration(flags) as administration:
        account = administration.create_account(given, amount)
    from oruel.cli import account_tables

    account_tables.print_account(account, f"Created the account {account.name} ({account.id}).", as_json=as_json)


@accounts.command("list")
@with_options(STORE_OPTIONS)
def list_all(as_json: AsJson = False, **flags: Any) -> None:
    """Show all accounts with their balances.

    Requests in progress have reserved the highest price that they may cost.
    """
    with open_administration(flags) as administration:
        found = administration.list_accounts()
    from oruel.cli import account_tables

    account_tables.print_accounts(found, as_json=as_json)


# A negative amount would otherwise be reported as an unknown option.
@accounts.command("credit", context_settings={"ignore_unknown_options": True})
@with_options(STORE_OPTIONS)
def credit(
    account: AccountName,
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", show_default=False, help="In USD, such as 12.50.")],
    note: Annotated[str, typer.Option(metavar="TEXT", show_default=False, help="What the credit is for.")] = "",
    as_json: AsJson = False,
    **flags: Any,
) -> None:
    """Add to an account's balance.

    The first credit makes an account prepaid: requests that its balance can't cover are refused from then on, and what
    its requests have cost before counts.
    """
    units = Amount().parse(amount, "AMOUNT")
    words = NOTE.parse(note, "--note") if note else ""
    with open_administration(flags) as administration:
        credited = administration.credit_account(account, units, words)
    from oruel.cli import account_tables

    account_tables.print_account(credited, f"Credited the account {credited.name}.", as_json=as_json)
