"""API keys and the secret of their digests."""

import hashlib
import hmac
import re
import stat
import threading
from pathlib import Path

import pytest

from oruel.errors import ConfigError, StoreError
from oruel.ledger.database import Database
from oruel.ledger.key import KeySecret, hint_of, is_key, load_secret, new_key

SECRET = "0123456789abcdef" * 4


def test_a_key_has_a_prefix_and_48_hexadecimal_digits() -> None:
    made = {new_key() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch("oruel_[0-9a-f]{48}", key) and is_key(key) for key in made)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "oruel_",
        "sk-" + 48 * "a",
        "oruel_" + 47 * "a",
        "oruel_" + 49 * "a",
        "oruel_" + 48 * "A",
        "oruel_" + 48 * "٣",
        " oruel_" + 48 * "a",
        "oruel_" + 48 * "a" + "\n",
    ],
)
def test_other_texts_are_no_keys(text: str) -> None:
    assert not is_key(text)


def test_a_digest_is_a_keyed_hash() -> None:
    key = new_key()
    assert KeySecret(b"one").digest(key) == hmac.digest(b"one", key.encode(), hashlib.sha256).hex()
    assert KeySecret(b"one").digest(key) != KeySecret(b"two").digest(key)


def test_any_text_has_a_digest() -> None:
    for text in ("", "\0", "é", "\ud800", "x" * 100_000):
        assert re.fullmatch("[0-9a-f]{64}", KeySecret(b"one").digest(text))


def test_a_secret_does_not_show_itself() -> None:
    assert "hush" not in f"{KeySecret(b'hush')} {KeySecret(b'hush')!r}"


def test_a_hint_shows_four_digits() -> None:
    assert hint_of("oruel_" + 44 * "0" + "1234") == "1234"


def test_the_secret_of_a_sqlite_store_is_a_private_file_made_once(tmp_path: Path) -> None:
    location = str(tmp_path / "data" / "ledger.db")
    first = load_secret(location, None)
    path = tmp_path / "data" / "ledger.db.secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert re.fullmatch("[0-9a-f]{64}\n", path.read_text())
    assert list(path.parent.iterdir()) == [path], "no draft is left"
    assert load_secret(f"sqlite:///{location}", None).digest("key") == first.digest("key")


def test_processes_that_start_at_once_make_one_secret(tmp_path: Path) -> None:
    digests: list[str] = []
    start = threading.Barrier(8)

    def load() -> None:
        start.wait()
        digests.append(load_secret(str(tmp_path / "ledger.db"), None).digest("key"))

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(digests) == 8
    assert len(set(digests)) == 1


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    location = str(tmp_path / "ledger.db")
    load_secret(location, None)
    (tmp_path / "ledger.db.secret").chmod(0o640)
    with pytest.raises(ConfigError, match=r"Others may read the key secret .*\. Run: chmod 600 "):
        load_secret(location, None)


@pytest.mark.parametrize("content", [b"", b"too short\n", b"\xff" * 31])
def test_a_damaged_secret_is_refused_and_left_as_it_is(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db.secret"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="must have at least 32 characters"):
        load_secret(str(tmp_path / "ledger.db"), None)
    assert path.read_bytes() == content


def test_a_secret_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"Can't read or make the key secret .*/file/ledger\.db\.secret: "):
        load_secret(str(tmp_path / "file" / "ledger.db"), None)


def test_a_setting_takes_precedence_over_the_file(tmp_path: Path) -> None:
    location = str(tmp_path / "ledger.db")
    assert load_secret(location, SECRET).digest("key") == KeySecret(SECRET.encode()).digest("key")
    assert list(tmp_path.iterdir()) == []


def test_a_postgresql_store_needs_the_setting() -> None:
    location = "postgresql://localhost/ledger"
    with pytest.raises(ConfigError, match=r"set ORUEL_KEY_SECRET, .* openssl rand -hex 32"):
        load_secret(location, None)
    assert load_secret(location, SECRET).digest("key")


def test_a_short_setting_is_refused_without_repeating_it() -> None:
    with pytest.raises(ConfigError, match=r"at least 32 characters\. Make one with: openssl rand -hex 32") as raised:
        load_secret("postgresql://localhost/ledger", "hush")
    assert "hush" not in raised.value.message


def test_a_store_with_keys_refuses_another_secret(store: Database) -> None:
    with store.transaction() as connection:
        KeySecret(b"one").require(connection)
        KeySecret(b"two").bind(connection)
    with store.transaction() as connection:
        KeySecret(b"two").bind(connection)
        KeySecret(b"two").require(connection)
        for check in (KeySecret(b"one").require, KeySecret(b"one").bind):
            with pytest.raises(StoreError, match="not the one with which this store's keys were made"):
                check(connection)
