"""Accounts: created, listed and credited. Money is in units of 10⁻¹² USD, times are in microseconds since the epoch."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update
from sqlalchemy.exc import IntegrityError

from oruel.contract.kinds import abbreviate
from oruel.errors import AccountNotFound, InvalidParameter, NameTaken
from oruel.ledger import tables
from oruel.ledger.changes import note_change
from oruel.ledger.database import Database
from oruel.ledger.money import MAX_USD, UNITS_PER_USD, usd_text
from oruel.ledger.sums import join_sum, sum_parts
from oruel.ledger.tables import accounts, requests

OPENING_NOTE = "opening balance"


@dataclass(frozen=True, slots=True)
class Account:
    """`balance`: what its credits leave after its settled requests; None: not prepaid. `reserved`: the highest possible
    price of its requests in progress.
    """

    id: str
    name: str
    balance: int | None
    reserved: int
    created: int


def create_account(connection: Connection, name: str, credit: int | None, now: int) -> Account:
    """With `credit`, the account is prepaid. Raises NameTaken."""
    account = Account(f"acct_{secrets.token_hex(8)}", name, None, 0, now)
    try:
        # The savepoint keeps PostgreSQL's transaction usable if another process has just taken the name.
        with connection.begin_nested():
            connection.execute(insert(accounts).values(id=account.id, name=name, balance=None, created=now))
    except IntegrityError as error:
        raise NameTaken(
            f'There is an account named "{abbreviate(name)}" already. Choose another name.', param="name"
        ) from error
    note_change(connection)
    return account if credit is None else credit_account(connection, account.id, credit, OPENING_NOTE, now)


def credit_account(connection: Connection, account: str, amount: int, note: str, now: int) -> Account:
    """`account` is an id or a name. The first credit makes the account prepaid: what its requests have cost until then
    counts. Raises AccountNotFound, or InvalidParameter if the balance would be too large.
    """
    found = find_account(connection, account, for_update=True)
    before = balance_of(connection, found.id) if found.balance is None else found.balance
    balance = before + amount
    if abs(balance) > MAX_USD * UNITS_PER_USD:
        raise InvalidParameter(
            f"With this amount the balance would be {usd_text(balance)} USD, but at most {MAX_USD} USD are allowed, "
            "whether paid in or owed. Send another amount.",
            param="amount",
        )
    values = {"id": f"cred_{secrets.token_hex(8)}", "account": found.id, "amount": amount, "note": note}
    connection.execute(insert(tables.credits).values(**values, created=now))
    connection.execute(update(accounts).where(accounts.c.id == found.id).values(balance=balance))
    note_change(connection)
    return Account(found.id, found.name, balance, found.reserved, found.created)


def find_account(connection: Connection, account: str, *, for_update: bool = False) -> Account:
    """By its id, or else its name. Raises AccountNotFound."""
    # PostgreSQL refuses text that no name can be, such as a null character.
    for column in (accounts.c.id, accounts.c.name) if account.isprintable() else ():
        query = select(accounts).where(column == account)
        row = connection.execute(Database.locking(query) if for_update else query).one_or_none()
        if row is not None:
            return Account(row.id, row.name, row.balance, reserved_of(connection, row.id), row.created)
    raise AccountNotFound(
        f'There is no account "{abbreviate(account)}". `oruel accounts list` shows the accounts.', param="account"
    )


def list_accounts(connection: Connection) -> Sequence[Account]:
    """In the order in which they were created."""
    rows = connection.execute(select(accounts).order_by(accounts.c.created, accounts.c.id)).all()
    quotient, remainder = sum_parts(requests.c.reserved)
    sums = (
        select(requests.c.account, quotient, remainder).where(requests.c.status.is_(None)).group_by(requests.c.account)
    )
    reserved = {account: join_sum(parts) for account, *parts in connection.execute(sums)}
    return [Account(row.id, row.name, row.balance, reserved.get(row.id, 0), row.created) for row in rows]


def reserved_of(connection: Connection, account: str) -> int:
    """The sum of what its requests in progress reserve. `account` is an id."""
    return read_sum(
        connection,
        select(*sum_parts(requests.c.reserved)).where(requests.c.account == account, requests.c.status.is_(None)),
    )


def balance_of(connection: Connection, account: str) -> int:
    """The sum of its credits minus the prices of its requests, from the rows themselves. `account` is an id."""
    credited = tables.credits.c
    paid = read_sum(connection, select(*sum_parts(credited.amount)).where(credited.account == account))
    spent = read_sum(connection, select(*sum_parts(requests.c.price)).where(requests.c.account == account))
    return paid - spent


def read_sum(connection: Connection, query: Select[Any]) -> int:
    return join_sum(connection.execute(query).one())
