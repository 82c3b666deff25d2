"""Repeats what an instance does with the store in the background."""

import asyncio
from collections.abc import Callable

from oruel.errors import StoreUnavailable


async def repeat(function: Callable[[], object], *, every: float) -> None:
    """Calls `function` in a thread every so many seconds, until cancelled. While the store is unavailable, which the
    log says, it tries again.
    """
    while True:
        await asyncio.sleep(every)
        try:
            await asyncio.to_thread(function)
        except StoreUnavailable:
            continue
