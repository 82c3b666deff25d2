"""API keys, and the secret with which the store keeps their digests instead of them."""

import hmac
import os
import re
import secrets
import tempfile
from pathlib import Path

from sqlalchemy import Connection, select, update

from oruel.errors import ConfigError, StoreError
from oruel.ledger.location import SQLiteLocation, parse_location
from oruel.ledger.tables import meta

PREFIX = "oruel_"
KEY_DIGITS = 48
KEY = re.compile(f"{PREFIX}[0-9a-f]{{{KEY_DIGITS}}}", re.ASCII)
HINT_DIGITS = 4
MIN_SECRET_CHARACTERS = 32
CHECK = "the check of the key secret"
HOW_TO_MAKE = "Make one with: openssl rand -hex 32"


def new_key() -> str:
    """A key of 192 random bits."""
    return PREFIX + secrets.token_hex(KEY_DIGITS // 2)


def is_key(text: str) -> bool:
    return KEY.fullmatch(text) is not None


def hint_of(key: str) -> str:
    """What may be shown of a key, so that people can tell theirs apart."""
    return key[-HINT_DIGITS:]


class KeySecret:
    """Whoever reads the store alone can neither use its digests as keys nor test guesses against them."""

    def __init__(self, secret: bytes) -> None:
        # Prepared once, because OpenSSL would look up the algorithm each time.
        self._keyed = hmac.new(secret, digestmod="sha256")

    def __repr__(self) -> str:
        return "KeySecret(…)"

    def digest(self, text: str) -> str:
        """HMAC-SHA256, in hexadecimal. `text` may be any, also with lone surrogates."""
        digest = self._keyed.copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def bind(self, connection: Connection) -> None:
        """Records the secret's check value with the store's first key. Raises StoreError like `require`."""
        self.require(connection)
        connection.execute(update(meta).where(meta.c.secret_check.is_(None)).values(secret_check=self.digest(CHECK)))

    def require(self, connection: Connection) -> None:
        """Raises StoreError if the store's keys were made with another secret."""
        check = connection.execute(select(meta.c.secret_check)).scalar_one()
        if check is not None and not hmac.compare_digest(check, self.digest(CHECK)):
            raise StoreError(
                "The key secret is not the one with which this store's keys were made. Restore that one: it was in "
                "ORUEL_KEY_SECRET, or in the file next to the store."
            )


def load_secret(location: str, setting: str | None) -> KeySecret:
    """The secret in `setting`, or in a file next to a SQLite store, created on first use. Raises ConfigError."""
    if setting is not None:
        return KeySecret(checked_secret(setting, "ORUEL_KEY_SECRET"))
    where = parse_location(location)
    if not isinstance(where, SQLiteLocation):
        raise ConfigError(
            f"With a PostgreSQL store, set ORUEL_KEY_SECRET, the same for all servers. {HOW_TO_MAKE}",
            param="key_secret",
        )
    path = where.path.with_name(where.path.name + ".secret")
    try:
        return KeySecret(read_or_make(path))
    except OSError as error:
        raise ConfigError(f"Can't read or make the key secret {path}: {error.strerror}.") from error


def read_or_make(path: Path) -> bytes:
    """Raises ConfigError and OSError."""
    if not path.exists():
        make_secret(path)
    if path.stat().st_mode & 0o077:
        raise ConfigError(f"Others may read the key secret {path}. Run: chmod 600 {path}")
    return checked_secret(path.read_text(encoding="utf-8", errors="replace"), str(path))


def make_secret(path: Path) -> None:
    """The file appears with its content, or stays as another process has made it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        os.unlink(draft)


def checked_secret(text: str, source: str) -> bytes:
    secret = text.strip()
    if len(secret) < MIN_SECRET_CHARACTERS:
        raise ConfigError(
            f"The key secret in {source} must have at least {MIN_SECRET_CHARACTERS} characters. {HOW_TO_MAKE}",
            param="key_secret",
        )
    return secret.encode("utf-8", "surrogatepass")
