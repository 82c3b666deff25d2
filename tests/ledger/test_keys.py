"""API keys: what they allow, how they are kept, and how they end, on both stores."""

import re
from typing import Any

import pytest
from sqlalchemy import select

from oruel.errors import AccountNotFound, InvalidParameter, KeyNotFound
from oruel.ledger.administration import Administration
from oruel.ledger.database import Database
from oruel.ledger.key import KeySecret
from oruel.ledger.key_terms import TERMS, KeyTerms, key_terms
from oruel.ledger.moments import Moment, moment_text
from oruel.ledger.tables import keys, meta
from tests.ledger.test_accounts import contents

SECRET = KeySecret(b"s" * 32)
FULL = KeyTerms(
    name="nightly",
    scopes=("inference", "admin"),
    expires=4_000_000_000_000_000,
    models=("demo", "a b"),
    tiers=("turbo",),
    day_limit=5,
    month_limit=2**62,
    requests_per_minute=60,
    tokens_per_minute=10_000,
    concurrent_requests=3,
)


@pytest.fixture
def admin(store: Database) -> Administration:
    made = Administration(store, SECRET)
    made.create_account("team")
    return made


def changes(store: Database) -> int:
    with store.reading() as connection:
        count: int = connection.execute(select(meta.c.changes)).scalar_one()
    return count


@pytest.mark.parametrize("terms", [KeyTerms(), FULL])
def test_a_key_is_shown_once_and_its_terms_are_kept(admin: Administration, terms: KeyTerms) -> None:
    created, key = admin.create_key("team", terms)
    assert re.fullmatch("oruel_[0-9a-f]{48}", key)
    assert created.hint == key[-4:]
    assert admin.list_keys() == [created]
    assert (created.terms, created.account_name, created.revoked) == (terms, "team", None)


def test_the_store_keeps_a_digest_instead_of_the_key(admin: Administration, store: Database) -> None:
    _, key = admin.create_key("team", FULL)
    with store.reading() as connection:
        row = connection.execute(select(keys)).one()
    assert row.digest == SECRET.digest(key)
    assert key not in str(contents(store))
    assert key[6:-4] not in str(contents(store))
    assert row.digest not in str(admin.list_keys())


def test_keys_are_listed_by_account(admin: Administration) -> None:
    other = admin.create_account("other")
    first, _ = admin.create_key("team", KeyTerms())
    second, _ = admin.create_key(other.id, KeyTerms())
    assert [key.id for key in admin.list_keys()] == [first.id, second.id]
    assert [key.id for key in admin.list_keys("other")] == [second.id]


def test_revoking_again_changes_nothing_and_says_so(admin: Administration, store: Database) -> None:
    created, _ = admin.create_key("team", KeyTerms())
    revoked, was_revoked = admin.revoke_key(created.id)
    assert revoked.revoked is not None
    assert not was_revoked
    before = contents(store)
    assert admin.revoke_key(created.id) == (revoked, True)
    assert contents(store) == before


def test_every_change_is_noted_for_the_other_processes(admin: Administration, store: Database) -> None:
    refreshed: list[int] = []
    watched = Administration(store, SECRET, lambda: refreshed.append(changes(store)))
    before = changes(store)
    watched.create_account("new", 1)
    watched.credit_account("new", 1)
    created, _ = watched.create_key("new", KeyTerms())
    watched.revoke_key(created.id)
    assert len(refreshed) == 4
    assert before < refreshed[0] < refreshed[1] < refreshed[2] < refreshed[3]


def test_refused_keys_change_nothing(admin: Administration, store: Database) -> None:
    before = contents(store)
    with pytest.raises(AccountNotFound) as unknown_account:
        admin.create_key("nobody", KeyTerms())
    with pytest.raises(KeyNotFound) as unknown_key:
        admin.revoke_key("key_" + "0" * 16)
    with pytest.raises(InvalidParameter, match=r"expires is 2001-09-09T01:46:40Z, which has passed") as past:
        admin.create_key("team", KeyTerms(expires=10**15))
    assert [error.value.param for error in (unknown_account, unknown_key, past)] == ["account", "key", "expires"]
    assert contents(store) == before


WRONG_TERMS: list[tuple[str, Any]] = [
    ("requests_per_minute", 0), ("tokens_per_minute", 0), ("concurrent_requests", 0), ("concurrent_requests", -1),
    ("day_limit", "0"), ("month_limit", "-1"), ("month_limit", "0.0"), ("tiers", ["fast"]), ("tiers", []),
    ("scopes", ["root"]), ("scopes", []), ("models", []), ("models", [""]), ("name", ""), ("expires", "tomorrow"),
    ("expires", "2027-02-30"), ("expires", "2027-01-31T12:00:00"), ("expires", 5),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG_TERMS)
def test_invalid_terms_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(InvalidParameter) as refused:
        TERMS[name].kind.parse(value, name)
    assert (refused.value.param or "").startswith(name)
    assert name in refused.value.message


def test_every_term_is_declared() -> None:
    assert set(TERMS) == set(KeyTerms.__dataclass_fields__)
    assert key_terms({"scopes": ("admin", "admin")}) == KeyTerms(scopes=("admin",))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2027-01-31", "2027-01-31T00:00:00Z"),
        ("2027-01-31T12:00:00Z", "2027-01-31T12:00:00Z"),
        ("2027-01-31T12:00:00.5+01:30", "2027-01-31T10:30:00Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
    ],
)
def test_a_time_is_read_in_its_zone_and_written_in_utc(text: str, written: str) -> None:
    assert moment_text(Moment().parse(text, "expires")) == written


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2027-01-31T24:01:00Z"])
def test_times_that_no_calendar_has_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameter):
        Moment().parse(text, "expires")
