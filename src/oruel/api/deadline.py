"""Deadlines of a request: for waiting in the queue, for the first token, and for the whole answer."""

import asyncio
import math
import time
from contextlib import aclosing
from dataclasses import dataclass

from starlette.datastructures import Headers

from oruel.api.alarm import Alarm, Rang
from oruel.contract.kinds import abbreviate
from oruel.errors import DeadlineExceeded, InvalidParameter
from oruel.types import Accepted, Answer, Delta, Prepared

HEADER = "x-request-timeout"
MAX_SECONDS = 86400


@dataclass(frozen=True, slots=True)
class Deadline:
    """`due` is a time of the event loop. `missed` is the error message for a request that misses the deadline."""

    due: float
    missed: str


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The server's limits, and `timeout`, the caller's limit for the whole answer; in seconds, infinite for none."""

    queue: float = math.inf
    first_token: float = math.inf
    whole: float = math.inf
    timeout: float = math.inf

    def of_queue(self, start: float) -> Deadline:
        missed = (
            f"The request waited longer than {self.queue:g} seconds, the queue_seconds of this server. Try again later."
        )
        return Deadline(start + self.queue, missed)

    def of_first_token(self, start: float) -> Deadline:
        missed = f"No token was generated within {self.first_token:g} seconds, the first_token_seconds of this server. "
        return Deadline(start + self.first_token, missed + "Shorten the messages, or try again later.")

    def of_whole(self, start: float) -> Deadline:
        """A caller can lower the server's limit, but not raise it."""
        if self.timeout < self.whole:
            limit, remedy = f"{self.timeout:g} seconds, the {HEADER} of this request", "allow it more time"
        else:
            limit, remedy = f"{self.whole:g} seconds, the total_seconds of this server", "split the request"
        missed = f"The answer took longer than {limit}. Ask for fewer tokens with max_tokens, or {remedy}."
        return Deadline(start + min(self.whole, self.timeout), missed)


def requested_timeout(headers: Headers) -> float:
    """The value of the x-request-timeout header in seconds, infinite if absent. Raises InvalidParameter."""
    sent = headers.get(HEADER)
    if sent is None:
        return math.inf
    try:
        seconds = float(sent)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= MAX_SECONDS:
        raise InvalidParameter(
            f'{HEADER} must be a number of seconds above 0 and at most {MAX_SECONDS}, but is "{abbreviate(sent)}".',
            param=HEADER,
        )
    return seconds


async def enforce_deadlines(answer: Answer, deadlines: Deadlines, arrival: float) -> Answer:
    """The same items, as long as they arrive in time. The queue's time starts now, the others at the request's
    `arrival`, a time of time.perf_counter. Raises DeadlineExceeded.
    """
    now, arrived = asyncio.get_running_loop().time(), on_loop(arrival)
    whole, first_token = deadlines.of_whole(arrived), deadlines.of_first_token(arrived)
    ahead = [whole, first_token, deadlines.of_queue(now)]
    alarm = Alarm()
    try:
        async with aclosing(answer):
            while (item := await next_before(answer, min(ahead, key=lambda deadline: deadline.due), alarm)) is not None:
                match item:
                    case Accepted():
                        ahead = [whole, first_token]
                    case Delta():
                        ahead = [whole]
                yield item
    finally:
        alarm.close()


def on_loop(moment: float) -> float:
    """Converts a time of time.perf_counter into one of the running event loop."""
    return asyncio.get_running_loop().time() - (time.perf_counter() - moment)


async def next_before(answer: Answer, deadline: Deadline, alarm: Alarm) -> Prepared | Accepted | Delta | None:
    """The next item, None after the last. Raises DeadlineExceeded."""
    # Only around the wait: a limit that spans a yield would cancel the caller.
    alarm.due = deadline.due
    try:
        return await alarm.limit(anext(answer, None))
    except Rang:
        raise DeadlineExceeded(deadline.missed) from None
