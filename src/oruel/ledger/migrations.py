"""Creates the tables of the store and brings those of an older version up to date, by the files in migrations/."""

from importlib import resources

from sqlalchemy import Connection, func, insert, inspect, select, update

from oruel.errors import StoreError
from oruel.ledger.sqlite import APPLICATION_ID
from oruel.ledger.tables import meta, metadata

PROGRAM = "oruel"
LOCK = 0x4F72754C
"""The PostgreSQL advisory lock that an instance holds while it migrates."""


def read_migrations() -> dict[int, list[str]]:
    """The statements of each version, in order. A semicolon ends a statement and stands nowhere else."""
    files = resources.files("oruel.ledger").joinpath("migrations").iterdir()
    return {
        int(file.name.removesuffix(".sql")): [part for part in file.read_text().split(";") if part.strip()]
        for file in sorted(files, key=lambda file: file.name)
    }


MIGRATIONS = read_migrations()
NEWEST = max(MIGRATIONS)


def is_current(connection: Connection) -> bool:
    """Raises StoreError if the store isn't ours, or newer than this program. Changes nothing."""
    return read_version(connection) == NEWEST


def migrate(connection: Connection) -> None:
    """In one transaction, so that a store is never half migrated. Raises StoreError."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
    version = read_version(connection)
    for number in range(version + 1, NEWEST + 1):
        for statement in MIGRATIONS[number]:
            connection.exec_driver_sql(statement)
    if version == 0:
        connection.execute(insert(meta).values(program=PROGRAM, version=NEWEST, changes=0))
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    else:
        connection.execute(update(meta).values(version=NEWEST))


def read_version(connection: Connection) -> int:
    """0 for an empty store. Raises StoreError if another program wrote it, or a newer version of this one."""
    present = set(inspect(connection).get_table_names())
    if connection.dialect.name == "sqlite":
        check_mark(connection, present)
    if not present & metadata.tables.keys():
        return 0
    if not has_our_meta(connection, present):
        others = ", ".join(sorted(present & metadata.tables.keys()))
        raise StoreError(f"It has tables of another program: {others}. Give Oru'el a database of its own.")
    version: int = connection.execute(select(meta.c.version)).scalar_one()
    if version > NEWEST:
        raise StoreError(
            f"It was written by a newer version of Oru'el (store version {version}, this program knows {NEWEST}). "
            "Use that version."
        )
    if version == NEWEST:
        check_columns(connection)
    return version


def check_mark(connection: Connection, present: set[str]) -> None:
    """A SQLite file is ours by its mark, or empty and unmarked."""
    mark = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
    if mark != APPLICATION_ID and (mark != 0 or present):
        raise StoreError("Another program wrote it. Choose another file.")


def has_our_meta(connection: Connection, present: set[str]) -> bool:
    if meta.name not in present:
        return False
    columns = {column["name"] for column in inspect(connection).get_columns(meta.name)}
    if not columns.issuperset({"program", "version"}):
        return False
    return connection.execute(select(meta.c.program)).scalars().all() == [PROGRAM]


def check_columns(connection: Connection) -> None:
    """Raises StoreError if tables or columns are missing."""
    found = inspect(connection)
    present = set(found.get_table_names())
    for table in metadata.sorted_tables:
        columns = {column["name"] for column in found.get_columns(table.name)} if table.name in present else set()
        if missing := sorted(set(table.columns.keys()) - columns):
            raise StoreError(f"Its table {table.name} lacks {', '.join(missing)}. Restore the store from a backup.")
