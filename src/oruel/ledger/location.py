"""Where the store is: the file of a SQLite database, or the URL of a PostgreSQL database."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from oruel.errors import StoreError

EXAMPLES = "A store is a path, sqlite:///PATH, or postgresql://USER:PASSWORD@HOST/DATABASE."
FULL = "synchronous=full"
POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")


@dataclass(frozen=True, slots=True)
class SQLiteLocation:
    """`synchronous`: "normal" keeps every commit when the process dies; "full" also when the machine loses power, at
    the price of waiting for the disk with each commit.
    """

    path: Path
    synchronous: Literal["normal", "full"] = "normal"

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class PostgreSQLLocation:
    url: URL

    def __str__(self) -> str:
        """Without the password, and without the options, which may contain one too."""
        shown = self.url.set(drivername="postgresql").difference_update_query(self.url.query)
        return shown.render_as_string(hide_password=True)


Location = SQLiteLocation | PostgreSQLLocation


def parse_location(text: str) -> Location:
    """Raises StoreError. Its messages don't repeat a URL, since that may contain a password."""
    scheme, separator, _ = text.partition("://")
    if not separator:
        return sqlite_location(text)
    if scheme in POSTGRESQL:
        return postgresql_location(text)
    if scheme == "sqlite":
        path, _, options = text.removeprefix("sqlite://").partition("?")
        if options not in ("", FULL) or not path.startswith("/"):
            raise StoreError(f"The store's URL has a host, or options other than {FULL}. {EXAMPLES}")
        return replace(sqlite_location(path[1:]), synchronous="full" if options else "normal")
    raise StoreError(f"There are no stores of the kind {scheme}. {EXAMPLES}")


def sqlite_location(path: str) -> SQLiteLocation:
    if not path or path == ":memory:" or "\0" in path:
        raise StoreError(f"The store is not a file. {EXAMPLES}")
    return SQLiteLocation(Path(path).expanduser().absolute())


def postgresql_location(text: str) -> PostgreSQLLocation:
    try:
        url = make_url(text).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        raise StoreError(f"The URL of the PostgreSQL store is malformed. {EXAMPLES}") from None
    if "@" in (url.host or ""):
        raise StoreError("The URL of the PostgreSQL store has two @. In a password, write %40 for @ and %2F for /.")
    if not url.database:
        raise StoreError(f"The URL of the PostgreSQL store names no database. {EXAMPLES}")
    return PostgreSQLLocation(url)
