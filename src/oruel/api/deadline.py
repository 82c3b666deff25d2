"""The header x-request-timeout: how many seconds the caller gives the whole answer."""

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.requests import Request

from oruel.errors import DeadlineExceeded, InvalidParameter
from oruel.kinds import abbreviate
from oruel.types import Delta

HEADER = "x-request-timeout"
MAX_SECONDS = 86400


def requested_timeout(request: Request) -> float | None:
    """Raises InvalidParameter."""
    sent = request.headers.get(HEADER)
    if sent is None:
        return None
    try:
        seconds = float(sent)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= MAX_SECONDS:
        raise InvalidParameter(
            f'{HEADER} must be a number of seconds above 0, at most {MAX_SECONDS}, but is "{abbreviate(sent)}".',
            param=HEADER,
        )
    return seconds


async def before_deadline(deltas: AsyncGenerator[Delta, None], seconds: float) -> AsyncGenerator[Delta, None]:
    """The same deltas, as long as they come in time. Raises DeadlineExceeded."""
    deadline = asyncio.get_running_loop().time() + seconds
    async with aclosing(deltas):
        while True:
            try:
                # Around the wait alone: a timeout that spanned the yield would cancel whoever reads us.
                async with asyncio.timeout_at(deadline):
                    delta = await anext(deltas)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise DeadlineExceeded(
                    f"The answer took longer than {seconds:g} seconds, the {HEADER} of this request."
                ) from None
            yield delta
