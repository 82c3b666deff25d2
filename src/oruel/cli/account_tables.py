"""Prints accounts and keys: as tables, as sentences or as JSON."""

from collections.abc import Iterator, Sequence

import msgspec
import typer
from rich.console import Console

from oruel.api.account_objects import (
    NewKeyObject,
    RevocationObject,
    account_list,
    account_object,
    key_list,
    key_object,
    optional_usd,
)
from oruel.cli.params import build_table
from oruel.ledger.accounts import Account
from oruel.ledger.key_terms import KeyTerms
from oruel.ledger.keys import StoredKey
from oruel.ledger.moments import moment_text
from oruel.ledger.money import usd_text


def print_json(answer: msgspec.Struct) -> None:
    typer.echo(msgspec.json.format(msgspec.json.encode(answer)).decode())


def print_account(account: Account, done: str, *, as_json: bool) -> None:
    """`done`: a sentence that says what was done."""
    if as_json:
        print_json(account_object(account))
        return
    typer.echo(done + ("" if account.balance is None else f" Its balance is {usd_text(account.balance)} USD."))


def print_accounts(accounts: Sequence[Account], *, as_json: bool) -> None:
    if as_json:
        print_json(account_list(accounts))
        return
    table = build_table("Accounts", "name", "id", "balance in USD", "reserved", "created")
    for account in accounts:
        balance = optional_usd(account.balance) or "not prepaid"
        day, _, _ = moment_text(account.created).partition("T")
        table.add_row(account.name, account.id, balance, usd_text(account.reserved), day)
    table.columns[0].no_wrap, table.columns[0].overflow = False, "fold"
    table.columns[1].no_wrap = True
    for column in table.columns[2:4]:
        column.justify = "right"
    plain_console().print(table)


def print_keys(keys: Sequence[StoredKey], now: int, *, as_json: bool) -> None:
    if as_json:
        print_json(key_list(keys, now))
        return
    table = build_table("Keys", "id", "account", "name", "ends in", "status", "allows")
    for key in keys:
        status = key_object(key, now).status
        table.add_row(key.id, key.account_name, key.terms.name, key.hint, status, "\n".join(describe_terms(key.terms)))
    plain_console().print(table)


def print_new_key(created: StoredKey, key: str, *, as_json: bool) -> None:
    """The key is alone on stdout, so that a script can read it; the rest goes to stderr."""
    if as_json:
        print_json(NewKeyObject(key=key, details=key_object(created, created.created)))
        return
    typer.echo(
        f"Created {created.id} for the account {created.account_name}, which allows "
        f"{'; '.join(describe_terms(created.terms))}. Copy the key now: it is not shown again.",
        err=True,
    )
    typer.echo(key)


def print_revocation(revoked: StoredKey, *, was_revoked: bool, as_json: bool) -> None:
    if as_json:
        now = revoked.revoked or 0
        print_json(RevocationObject(was_revoked=was_revoked, details=key_object(revoked, now)))
        return
    time = moment_text(revoked.revoked or 0)
    typer.echo(
        f"{revoked.id} of the account {revoked.account_name} was revoked at {time} already; nothing changed."
        if was_revoked
        else f"Revoked {revoked.id} of the account {revoked.account_name}."
    )


def describe_terms(terms: KeyTerms) -> Iterator[str]:
    yield " and ".join(terms.scopes)
    if terms.models is not None:
        yield f"models {', '.join(terms.models)}"
    if terms.tiers is not None:
        yield f"tiers {', '.join(terms.tiers)}"
    for limit, period in ((terms.day_limit, "day"), (terms.month_limit, "month")):
        if limit is not None:
            yield f"{usd_text(limit)} USD a {period}"
    counts = (
        (terms.requests_per_minute, "requests a minute"),
        (terms.tokens_per_minute, "tokens a minute"),
        (terms.concurrent_requests, "requests at once"),
    )
    for count, words in counts:
        if count is not None:
            yield f"{count} {words}"
    if terms.expires is not None:
        yield f"until {moment_text(terms.expires)}"


def plain_console() -> Console:
    return Console(highlight=False, markup=False, emoji=False)
