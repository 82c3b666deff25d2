"""Accounts, keys and usage as JSON: the answers of the API, and of the command line with --json. Amounts are decimal
strings of USD, times are in UTC.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from oruel.ledger.accounts import Account
from oruel.ledger.keys import StoredKey
from oruel.ledger.moments import moment_text
from oruel.ledger.money import usd_text
from oruel.ledger.usage import UsageQuery, UsageRow, total_usage


class AccountObject(msgspec.Struct, kw_only=True):
    """`balance` is null for an account that isn't prepaid. `reserved` is what requests in progress may cost."""

    id: str
    object: Literal["account"] = "account"
    name: str
    balance: str | None
    reserved: str
    created: str


class AccountList(msgspec.Struct, kw_only=True):
    object: Literal["list"] = "list"
    data: list[AccountObject]


class KeyObject(msgspec.Struct, kw_only=True):
    """`hint` is the end of the key. null: no limit."""

    id: str
    object: Literal["key"] = "key"
    account: str
    account_name: str
    name: str
    hint: str
    status: Literal["active", "expired", "revoked"]
    scopes: list[str]
    models: list[str] | None
    tiers: list[str] | None
    day_limit: str | None
    month_limit: str | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_requests: int | None
    created: str
    expires: str | None
    revoked: str | None


class KeyList(msgspec.Struct, kw_only=True):
    object: Literal["list"] = "list"
    data: list[KeyObject]


class NewKeyObject(msgspec.Struct, kw_only=True):
    """`key` is the only copy of the key: the store keeps a digest."""

    key: str
    details: KeyObject


class RevocationObject(msgspec.Struct, kw_only=True):
    """`was_revoked`: the key had been revoked before, so nothing changed."""

    was_revoked: bool
    details: KeyObject


class UsageRowObject(msgspec.Struct, kw_only=True):
    """Has the fields by which the report is grouped. `statuses` counts how the requests ended. `cost` is what the
    operator pays, and is for operators only.
    """

    day: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    tier: str | UnsetType = UNSET
    account: str | UnsetType = UNSET
    key: str | UnsetType = UNSET
    key_name: str | UnsetType = UNSET
    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    price: str
    cost: str | UnsetType = UNSET
    statuses: dict[str, int]


class UsageReport(msgspec.Struct, kw_only=True):
    object: Literal["usage"] = "usage"
    from_: str | None = msgspec.field(name="from")
    to: str | None
    by: list[str]
    currency: Literal["USD"] = "USD"
    data: list[UsageRowObject]
    total: UsageRowObject


ACCOUNT_ANSWERS = (AccountObject, AccountList, NewKeyObject, KeyList, RevocationObject, UsageReport)


def account_object(account: Account) -> AccountObject:
    return AccountObject(
        id=account.id,
        name=account.name,
        balance=optional_usd(account.balance),
        reserved=usd_text(account.reserved),
        created=moment_text(account.created),
    )


def account_list(accounts: Sequence[Account]) -> AccountList:
    return AccountList(data=[account_object(account) for account in accounts])


def key_object(key: StoredKey, now: int) -> KeyObject:
    terms = key.terms
    return KeyObject(
        id=key.id,
        account=key.account,
        account_name=key.account_name,
        name=terms.name,
        hint=key.hint,
        status="revoked" if key.revoked is not None else "expired" if key.is_expired(now) else "active",
        scopes=list(terms.scopes),
        models=None if terms.models is None else list(terms.models),
        tiers=None if terms.tiers is None else list(terms.tiers),
        day_limit=optional_usd(terms.day_limit),
        month_limit=optional_usd(terms.month_limit),
        requests_per_minute=terms.requests_per_minute,
        tokens_per_minute=terms.tokens_per_minute,
        concurrent_requests=terms.concurrent_requests,
        created=moment_text(key.created),
        expires=optional_moment(terms.expires),
        revoked=optional_moment(key.revoked),
    )


def key_list(keys: Sequence[StoredKey], now: int) -> KeyList:
    return KeyList(data=[key_object(key, now) for key in keys])


def usage_report(query: UsageQuery, rows: Sequence[UsageRow], *, shows_cost: bool) -> UsageReport:
    return UsageReport(
        from_=None if query.first_day is None else query.first_day.isoformat(),
        to=None if query.last_day is None else query.last_day.isoformat(),
        by=list(query.by),
        data=[usage_row_object(row, shows_cost=shows_cost) for row in rows],
        total=usage_row_object(total_usage(rows), shows_cost=shows_cost),
    )


def usage_row_object(row: UsageRow, *, shows_cost: bool) -> UsageRowObject:
    return UsageRowObject(
        **row.group,
        requests=row.requests,
        prompt_tokens=row.prompt_tokens,
        cached_tokens=row.cached_tokens,
        completion_tokens=row.completion_tokens,
        price=usd_text(row.price),
        cost=usd_text(row.cost) if shows_cost else UNSET,
        statuses=dict(row.statuses),
    )


def optional_usd(units: int | None) -> str | None:
    return None if units is None else usd_text(units)


def optional_moment(microseconds: int | None) -> str | None:
    return None if microseconds is None else moment_text(microseconds)
