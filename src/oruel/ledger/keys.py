"""API keys: created, listed and revoked. The store keeps only their digests, which never leave this module."""

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from sqlalchemy import Connection, Row, Select, insert, select, update

from oruel.contract.kinds import abbreviate
from oruel.errors import InvalidParameter, KeyNotFound
from oruel.ledger.accounts import find_account
from oruel.ledger.caller import Scope
from oruel.ledger.changes import note_change
from oruel.ledger.key import KeySecret, hint_of, new_key
from oruel.ledger.key_terms import KeyTerms
from oruel.ledger.moments import moment_text
from oruel.ledger.tables import accounts, keys
from oruel.types import Tier

KEY_ID = "key_[0-9a-f]{16}"
LIMITS = ("day_limit", "month_limit", "requests_per_minute", "tokens_per_minute", "concurrent_requests")


@dataclass(frozen=True, slots=True)
class StoredKey:
    """`hint`: the last digits of the key. `created` and `revoked` are in microseconds since the epoch."""

    id: str
    account: str
    account_name: str
    hint: str
    created: int
    revoked: int | None
    terms: KeyTerms

    def is_expired(self, now: int) -> bool:
        return self.terms.expires is not None and self.terms.expires <= now


def create_key(
    connection: Connection, secret: KeySecret, account: str, terms: KeyTerms, now: int
) -> tuple[StoredKey, str]:
    """Returns the key itself too, which nothing can restore later. `account` is an id or a name.

    Raises AccountNotFound, or InvalidParameter if the key would have expired already.
    """
    if terms.expires is not None and terms.expires <= now:
        raise InvalidParameter(
            f"expires is {moment_text(terms.expires)}, which has passed. Choose a time in the future.", param="expires"
        )
    owner = find_account(connection, account)
    secret.bind(connection)
    key = new_key()
    stored = StoredKey(f"key_{secrets.token_hex(8)}", owner.id, owner.name, hint_of(key), now, None, terms)
    values = asdict(terms) | {
        "scopes": " ".join(terms.scopes),
        "models": None if terms.models is None else json.dumps(terms.models),
        "tiers": None if terms.tiers is None else " ".join(terms.tiers),
    }
    own = {"id": stored.id, "account": owner.id, "hint": stored.hint, "created": now}
    connection.execute(insert(keys).values(**values, **own, digest=secret.digest(key), requests_due=0, tokens_due=0))
    note_change(connection)
    return stored, key


def list_keys(connection: Connection, account: str | None = None) -> Sequence[StoredKey]:
    """In the order in which they were created, revoked ones too. `account` is an id or a name, None for all. Raises
    AccountNotFound.
    """
    query = select_keys().order_by(keys.c.created, keys.c.id)
    if account is not None:
        query = query.where(keys.c.account == find_account(connection, account).id)
    return [stored_key(row) for row in connection.execute(query)]


def revoke_key(connection: Connection, id: str, now: int) -> tuple[StoredKey, bool]:
    """Returns the key, and whether it had been revoked before; that changes nothing. Requests in progress go on.
    Raises KeyNotFound.
    """
    if not re.fullmatch(KEY_ID, id):
        raise no_key(id)
    unrevoked = update(keys).where(keys.c.id == id, keys.c.revoked.is_(None))
    changed = connection.execute(unrevoked.values(revoked=now)).rowcount
    row = connection.execute(select_keys().where(keys.c.id == id)).one_or_none()
    if row is None:
        raise no_key(id)
    if changed:
        note_change(connection)
    return stored_key(row), not changed


def no_key(id: str) -> KeyNotFound:
    return KeyNotFound(f'There is no key with the id "{abbreviate(id)}". `oruel keys list` shows the ids.', param="key")


def select_keys() -> Select[Any]:
    columns = (column for column in keys.c if column.name != "digest")
    return select(*columns, accounts.c.name.label("account_name")).join(accounts, keys.c.account == accounts.c.id)


def stored_key(row: Row[Any]) -> StoredKey:
    terms = KeyTerms(
        name=row.name,
        scopes=cast(tuple[Scope, ...], tuple(row.scopes.split())),
        expires=row.expires,
        models=None if row.models is None else tuple(json.loads(row.models)),
        tiers=None if row.tiers is None else cast(tuple[Tier, ...], tuple(row.tiers.split())),
        **{limit: row._mapping[limit] for limit in LIMITS},
    )
    return StoredKey(row.id, row.account, row.account_name, row.hint, row.created, row.revoked, terms)
