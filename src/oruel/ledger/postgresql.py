"""A store in a PostgreSQL database, which several instances may share."""

import sys
from typing import Any, cast

from sqlalchemy import URL, Dialect, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from oruel.errors import StoreError
from oruel.ledger.engines import WAIT_SECONDS, Engines

CONNECTIONS = 4
CONNECTION_OPTIONS = {
    "application_name": "oruel",
    "connect_timeout": WAIT_SECONDS,
    # A server that vanished without closing its connections is noticed in 10 to 15 seconds.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    # An instance that stops in the middle of a transaction must not hold its locks for ever.
    "options": f"-c statement_timeout={WAIT_SECONDS}s -c idle_in_transaction_session_timeout={2 * WAIT_SECONDS}s",
}


def open_postgresql(url: URL) -> Engines:
    """Connects only when first used. Options in the URL take precedence over ours. Raises StoreError."""
    options = {name: value for name, value in CONNECTION_OPTIONS.items() if name not in url.query}
    try:
        engine = create_engine(
            url,
            connect_args=options,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=WAIT_SECONDS,
            pool_pre_ping=True,
            hide_parameters=True,
        )
        give_up_on_hanging_servers(engine)
    except ImportError as error:
        raise StoreError(
            "A PostgreSQL store needs the driver psycopg. Install it with: pip install 'oruel[postgresql]'"
        ) from error
    reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    plain = engine.execution_options(isolation_level="AUTOCOMMIT")

    def connect_driver() -> Any:
        arguments, from_url = engine.dialect.create_connect_args(url)
        return engine.dialect.loaded_dbapi.connect(*arguments, **from_url, **options, autocommit=True)

    # The event loop of Windows can't wait for sockets of libpq.
    driver = connect_driver if sys.platform != "win32" else None
    return Engines(engine, reader, plain, "BEGIN", has_clock=True, connect_driver=driver)


def give_up_on_hanging_servers(engine: Engine) -> None:
    """Raises ImportError without the driver."""
    from oruel.ledger.impatience import ImpatientConnection

    @event.listens_for(engine, "do_connect")
    def connect(_: Dialect, __: ConnectionPoolEntry, arguments: list[Any], options: dict[str, Any]) -> DBAPIConnection:
        return cast(DBAPIConnection, ImpatientConnection.connect(*arguments, **options))
