"""Opens the ledger of a server: the store, its keys, and this process's part in them."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

import structlog

from oruel.errors import StoreError, StoreUnavailable
from oruel.ledger.administration import Administration
from oruel.ledger.base import Keys, Ledger, NoKeys, Unrecorded
from oruel.ledger.committer import Committer
from oruel.ledger.database import Database
from oruel.ledger.entry import PriceList
from oruel.ledger.instances import Instance
from oruel.ledger.key import load_secret
from oruel.ledger.keyring import Keyring
from oruel.ledger.location import parse_location
from oruel.ledger.recorder import Recorder
from oruel.ledger.store_writer import StoreWriter
from oruel.router.catalog import Catalog
from oruel.router.deployment import CatalogModel
from oruel.settings import Settings

log = structlog.get_logger("oruel.ledger")


@dataclass(frozen=True)
class Books:
    """`location` is where the store is, without a password; None if there is none. `is_available`: whether the store
    accepts what is written, as of the last renewal of the lease.
    """

    keys: Keys
    ledger_of: Callable[[Catalog], Ledger]
    administration: Administration | None = None
    location: str | None = None
    is_available: Callable[[], bool] = lambda: True


NO_BOOKS = Books(NoKeys(), lambda catalog: Unrecorded())


async def open_books(settings: Settings, models: Sequence[CatalogModel], resources: AsyncExitStack) -> Books:
    """Closing `resources` settles what is still to be settled, and closes the store. Raises StoreError, ConfigError."""
    if settings.store is None:
        return NO_BOOKS
    location = settings.store.text
    database = await asyncio.to_thread(Database.open, location)
    resources.callback(database.close)
    secret = load_secret(location, settings.key_secret.text if settings.key_secret else None)
    instance = Instance(database)
    try:
        keyring = await asyncio.to_thread(Keyring, database, secret)
        await asyncio.to_thread(instance.register)
        resources.push_async_callback(leave, instance)
        await asyncio.to_thread(instance.reap)
    except StoreUnavailable as error:
        raise StoreError(f"The store {parse_location(location)} can't be read or written.") from error

    writer = StoreWriter(database, instance)
    resources.push_async_callback(writer.close)
    committer = Committer(
        writer.write,
        writer.write_at_once if database.is_quick else None,
        writer.write_soon if database.has_pipeline else None,
    )
    resources.push_async_callback(committer.close)
    run_until_closed(keyring.poll(), resources)
    run_until_closed(instance.keep_alive(), resources)
    prices = price_list(models)
    administration = Administration(database, secret, keyring.refresh)
    return Books(
        keyring,
        lambda catalog: Recorder(committer, catalog, prices),
        administration,
        str(parse_location(location)),
        is_available=lambda: instance.is_on_time,
    )


def run_until_closed(work: Coroutine[Any, Any, None], resources: AsyncExitStack) -> None:
    """Logs an unexpected end: without this work, revoked keys stay valid and leases expire."""
    task = asyncio.create_task(work)
    task.add_done_callback(log_failure)

    async def stop() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    resources.push_async_callback(stop)


def log_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()):
        log.critical("the ledger's background work has failed; restart the server", error=repr(error))


async def leave(instance: Instance) -> None:
    # If the store is unavailable, the log says so, and another instance finds this one dead.
    with suppress(StoreUnavailable):
        await asyncio.to_thread(instance.leave)


def price_list(models: Sequence[CatalogModel]) -> PriceList:
    return PriceList(
        {model.name: model.prices for model in models},
        {deployment.name: deployment.cost for model in models for deployment in model.deployments},
    )
