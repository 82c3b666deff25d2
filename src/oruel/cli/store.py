"""Opens the store for the commands that read and change it, with the settings of `oruel serve`."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog

from oruel import config
from oruel.cli.options import given_options, option
from oruel.cli.serve import setting_option
from oruel.contract.kinds import Kind, String
from oruel.errors import ConfigError, StoreError, StoreUnavailable
from oruel.settings import SETTINGS

if TYPE_CHECKING:
    from oruel.ledger.administration import Administration

CONFIG_OPTION = option(
    "config",
    String(1),
    f"The TOML file with the settings of `oruel serve`. [default: {config.CONFIG_FILE} if it exists; "
    f"variable: {config.CONFIG_VARIABLE}]",
)
STORE_OPTIONS = [CONFIG_OPTION, *(setting_option(SETTINGS[name]) for name in ("store", "key_secret"))]


@contextmanager
def open_administration(flags: Mapping[str, Any]) -> Iterator["Administration"]:
    """`flags` are those of STORE_OPTIONS. Raises StoreError and ConfigError."""
    # Imported late: SQLAlchemy takes longer to import than most commands run.
    from oruel.ledger.administration import Administration
    from oruel.ledger.database import Database, reason_of
    from oruel.ledger.key import load_secret

    location, secret = locate_store(flags)
    with quiet_logs():
        database = Database.open(location)
        try:
            yield Administration(database, load_secret(location, secret))
        except StoreUnavailable as error:
            cause = error.__cause__
            reason = f": {reason_of(cause)}" if isinstance(cause, Exception) else "."
            raise StoreError(f"The store can't be read or written{reason}") from error
        finally:
            database.close()


def locate_store(flags: Mapping[str, Any]) -> tuple[str, str | None]:
    """The location of the store, and the key secret if it is set. Raises ConfigError."""
    settings = config.load_process_settings(given_options(dict(flags)))
    if settings.store is None:
        raise ConfigError("The setting store is none: without a store, there are no accounts and keys. Set a store.")
    return settings.store.text, None if settings.key_secret is None else settings.key_secret.text


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Without log lines: the error that the command prints says the same."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


def parse_option(name: str, kind: Kind, value: object) -> Any:
    """Parses what was given as --name. Raises InvalidParameter, which spells the flag."""
    return kind.parse(config.convert_text(kind, value), f"--{name.replace('_', '-')}")
