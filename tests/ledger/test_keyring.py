"""The keys in memory: which are valid, and how changes reach every process."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, update

from oruel.errors import StoreError, StoreUnavailable
from oruel.ledger import keyring as keyring_module
from oruel.ledger.caller import Caller
from oruel.ledger.database import Database
from oruel.ledger.key import KeySecret, new_key
from oruel.ledger.keyring import Keyring
from oruel.ledger.tables import keys
from tests.ledger.books import add_account, add_key
from tests.ledger.rows import note_change

SECRET = KeySecret(b"a secret")
HOUR = 3600 * 1_000_000


def microseconds() -> int:
    return time.time_ns() // 1000


def make_account(connection: Connection, name: str) -> str:
    add_account(connection, name)
    return name


def make_key(connection: Connection, account: str, secret: KeySecret = SECRET, **values: object) -> str:
    key = new_key()
    digest = secret.digest(key)
    add_key(connection, f"key {digest[:8]}", account, digest=digest, **values)
    note_change(connection)
    return key


def revoke(store: Database, key: str) -> None:
    with store.transaction() as connection:
        found = keys.c.digest == SECRET.digest(key)
        connection.execute(update(keys).where(found).values(revoked=microseconds()))
        note_change(connection)


def test_a_key_leads_to_its_caller(store: Database) -> None:
    with store.transaction() as connection:
        account = make_account(connection, "ada")
        plain = make_key(connection, account)
        limited = make_key(connection, account, scopes="inference admin", models='["a model", "b"]', tiers="turbo")
    keyring = Keyring(store, SECRET)
    found = keyring.find(plain)
    assert found is not None
    assert (found.account, found.scopes, found.models, found.tiers) == (account, ("inference",), None, None)
    assert keyring.find(limited) == Caller(
        account,
        f"key {SECRET.digest(limited)[:8]}",
        found.cache_scope,
        ("inference", "admin"),
        ("a model", "b"),
        ("turbo",),
    )


def test_unknown_revoked_and_expired_keys_lead_to_nobody(store: Database) -> None:
    with store.transaction() as connection:
        account = make_account(connection, "ada")
        revoked = make_key(connection, account, revoked=microseconds())
        expired = make_key(connection, account, expires=microseconds() - 1)
        lasting = make_key(connection, account, expires=microseconds() + HOUR)
    keyring = Keyring(store, SECRET)
    assert [keyring.find(key) for key in (new_key(), revoked, expired, "")] == [None] * 4
    assert keyring.find(lasting)


def test_a_key_expires_without_a_change_of_the_store(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.transaction() as connection:
        key = make_key(connection, make_account(connection, "ada"), expires=microseconds() + HOUR)
    keyring = Keyring(store, SECRET)
    assert keyring.find(key)
    later = time.time_ns() + 2 * HOUR * 1000
    monkeypatch.setattr(time, "time_ns", lambda: later)
    assert keyring.find(key) is None


@pytest.fixture(scope="module")
def keyring_of_one_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyring]:
    store = Database.open(str(tmp_path_factory.mktemp("store") / "ledger.db"))
    with store.transaction() as connection:
        make_key(connection, make_account(connection, "ada"))
    yield Keyring(store, SECRET)
    store.close()


@given(st.text(st.characters(exclude_categories=())) | st.text().map("oruel_".__add__) | st.binary().map(bytes.hex))
def test_any_other_text_leads_to_nobody(keyring_of_one_key: Keyring, text: str) -> None:
    assert keyring_of_one_key.find(text) is None


def test_every_key_that_is_not_valid_costs_the_same_steps(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.transaction() as connection:
        account = make_account(connection, "ada")
        revoked = make_key(connection, account, revoked=microseconds())
        expired = make_key(connection, account, expires=1)
        valid = make_key(connection, account)
    keyring = Keyring(store, SECRET)
    steps: list[object] = []

    def digest(secret: KeySecret, text: str) -> str:
        steps.append("digest")
        return original_digest(secret, text)

    def compare(a: str, b: str) -> bool:
        steps.append(("compare", len(a), len(b)))
        return a == b

    original_digest = KeySecret.digest
    monkeypatch.setattr(KeySecret, "digest", digest)
    monkeypatch.setattr(keyring_module, "compare_digest", compare)
    for key in (valid, revoked, expired, new_key(), "x"):
        keyring.find(key)
        assert steps == ["digest", ("compare", 64, 64)]
        steps.clear()


def test_revoking_the_last_key_leaves_the_store_with_keys(store: Database) -> None:
    keyring = Keyring(store, SECRET)
    had_keys = keyring.has_keys
    with store.transaction() as connection:
        key = make_key(connection, make_account(connection, "ada"))
    keyring.refresh()
    assert (had_keys, keyring.has_keys) == (False, True)
    revoke(store, key)
    keyring.refresh()
    assert keyring.find(key) is None
    assert keyring.has_keys


def test_keys_of_one_account_share_a_prefix_cache_and_accounts_do_not(store: Database) -> None:
    with store.transaction() as connection:
        ada, bob = make_account(connection, "ada"), make_account(connection, "bob")
        made = [make_key(connection, account) for account in (ada, ada, bob)]
    keyring = Keyring(store, SECRET)
    first, second, third = [caller.cache_scope for key in made if (caller := keyring.find(key))]
    assert first == second != third
    assert len(first) == 16
    assert int(first, 16)
    other = KeySecret(b"another secret").digest(f"prefix cache:{ada}")
    assert not other.startswith(first), "the scope can't be computed without the secret"


def run_polling(keyring: Keyring, until: str) -> None:
    """Polls until the key `until` is no longer valid."""

    async def poll() -> None:
        task = asyncio.create_task(keyring.poll())
        async with asyncio.timeout(30):
            while keyring.find(until):
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(poll())


def test_a_key_revoked_elsewhere_is_refused_without_a_restart(store: Database, store_location: str) -> None:
    with store.transaction() as connection:
        key = make_key(connection, make_account(connection, "ada"))
    elsewhere = Database.open(store_location)
    keyring = Keyring(elsewhere, SECRET)
    assert keyring.find(key)
    revoke(store, key)
    run_polling(keyring, until=key)
    elsewhere.close()


def test_a_refresh_without_changes_reads_no_keys(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = Keyring(store, SECRET)
    monkeypatch.setattr(keyring_module, "read_keys", None)
    keyring.refresh()


def test_while_the_store_is_unavailable_the_last_keys_stay_valid(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.transaction() as connection:
        key = make_key(connection, make_account(connection, "ada"))
    keyring = Keyring(store, SECRET)
    failures = iter(range(2))

    @contextmanager
    def reading_fails_twice() -> Iterator[Connection]:
        if next(failures, None) is not None:
            assert keyring.find(key)
            raise StoreUnavailable("No store.")
        with original() as connection:
            yield connection

    original = store.reading
    monkeypatch.setattr(store, "reading", reading_fails_twice)
    with pytest.raises(StoreUnavailable):
        keyring.refresh()
    assert keyring.find(key)
    revoke(store, key)
    run_polling(keyring, until=key)
    assert next(failures, None) is None


def test_keys_made_with_another_secret_are_refused(store: Database) -> None:
    keyring = Keyring(store, SECRET)
    other = KeySecret(b"another secret")
    with store.transaction() as connection:
        other.bind(connection)
        key = make_key(connection, make_account(connection, "ada"), other)
    keyring.refresh()
    assert keyring.find(key) is None
    assert keyring.has_keys, "the server doesn't open to everyone"
    with pytest.raises(StoreError, match="not the one with which this store's keys were made"):
        Keyring(store, SECRET)
