"""oruel keys: creates, lists and revokes API keys."""

from typing import Annotated, Any

import typer

from oruel.cli.accounts import AccountName, AsJson
from oruel.cli.options import given_options, option, with_options
from oruel.cli.store import STORE_OPTIONS, open_administration, parse_option
from oruel.ledger.key_terms import TERMS, key_terms

keys = typer.Typer(name="keys", help="Create, list and revoke API keys.", no_args_is_help=True, rich_markup_mode=None)
TERM_OPTIONS = [option(name, term.kind, term.summary) for name, term in TERMS.items()]


@keys.command("create")
@with_options([*TERM_OPTIONS, *STORE_OPTIONS])
def create(account: AccountName, as_json: AsJson = False, **flags: Any) -> None:
    """Create an API key.

    The key itself goes to stdout and is shown only this once, for the store keeps a keyed hash. --scopes, --models and
    --tiers may be repeated.
    """
    given = given_options({name: flags.pop(name) for name in TERMS})
    terms = key_terms({name: parse_option(name, TERMS[name].kind, value) for name, value in given.items()})
    with open_administration(flags) as administration:
        created, key = administration.create_key(account, terms)
    from oruel.cli import account_tables

    account_tables.print_new_key(created, key, as_json=as_json)


@keys.command("list")
@with_options(STORE_OPTIONS)
def list_all(
    account: Annotated[
        str | None, typer.Option(metavar="ACCOUNT", show_default=False, help="Only the keys of this account.")
    ] = None,
    as_json: AsJson = False,
    **flags: Any,
) -> None:
    """Show the keys, by their ids and last digits, and what they allow."""
    with open_administration(flags) as administration:
        found, now = administration.list_keys(account), administration.now()
    from oruel.cli import account_tables

    account_tables.print_keys(found, now, as_json=as_json)


@keys.command("revoke")
@with_options(STORE_OPTIONS)
def revoke(
    key: Annotated[
        str, typer.Argument(metavar="ID", show_default=False, help="The id of the key, as `oruel keys list` shows it.")
    ],
    as_json: AsJson = False,
    **flags: Any,
) -> None:
    """Revoke a key.

    Running servers refuse it within two seconds. Requests in progress finish.
    """
    with open_administration(flags) as administration:
        revoked, was_revoked = administration.revoke_key(key)
    from oruel.cli import account_tables

    account_tables.print_revocation(revoked, was_revoked=was_revoked, as_json=as_json)
