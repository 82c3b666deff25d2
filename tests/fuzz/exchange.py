"""Runs one case over a socket: sends its bytes and reads everything that comes back."""

import asyncio
from collections.abc import Awaitable, Iterable
from contextlib import suppress

from tests.fuzz.answers import Answers
from tests.fuzz.cases import Case, Step
from tests.soak.wrong import CheckFailed, require

HANG_SECONDS = 10.0
QUIET_SECONDS = 0.2
# After refusing a larger body, a server may reset the connection before the client reads the answer.
RESET_BYTES = 60_000


async def exchange(port: int, case: Case) -> Answers:
    """Raises CheckFailed if the server doesn't answer in time, or not with HTTP."""
    answers = Answers(case.methods if case.methods is not None else guess_methods(case.sent))
    reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), HANG_SECONDS)
    receiving = asyncio.create_task(receive(reader, answers, case))
    try:
        await wait_within_limit(send(writer, case.steps), "doesn't read the request")
        if not case.leaves:
            await finish(writer, receiving, case)
            check_number(answers, case)
        return answers
    finally:
        receiving.cancel()
        writer.transport.abort()
        await asyncio.gather(receiving, return_exceptions=True)


async def finish(writer: asyncio.StreamWriter, receiving: "asyncio.Task[None]", case: Case) -> None:
    if case.methods is not None:
        await wait_within_limit(receiving, "doesn't complete its answer")
        return
    # The number of answers is unknown, but the connection must end when the client ends it.
    await asyncio.wait([receiving], timeout=QUIET_SECONDS)
    if not receiving.done():
        with suppress(OSError):
            writer.write_eof()
    await wait_within_limit(receiving, "keeps a connection open that the client has closed")


async def wait_within_limit(awaited: Awaitable[None], problem: str) -> None:
    try:
        async with asyncio.timeout(HANG_SECONDS):
            await awaited
    except TimeoutError:
        raise CheckFailed(f"a hang: for {HANG_SECONDS:g} seconds, the server {problem}") from None


async def send(writer: asyncio.StreamWriter, steps: Iterable[Step]) -> None:
    """Sends the steps, or as many as the server reads before it closes the connection."""
    with suppress(ConnectionError):
        for step in steps:
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
            else:
                await asyncio.sleep(step)


async def receive(reader: asyncio.StreamReader, answers: Answers, case: Case) -> None:
    """Reads until all answers are complete or the connection ends."""
    data = b"-"
    while data and not (case.methods is not None and answers.whole >= len(case.methods)):
        try:
            data = await reader.read(2**16)
        except ConnectionError:
            data = b""
        answers.feed(data)


def check_number(answers: Answers, case: Case) -> None:
    """Checks that every request is answered, except after an answer that closes the connection."""
    if case.methods is None or len(case.sent) > RESET_BYTES:
        return
    closes = answers.found and answers.found[-1].headers.get(b"connection", b"").lower() == b"close"
    require(bool(closes) or answers.whole == len(case.methods), f"{answers.whole} of {len(case.methods)} answers")


def guess_methods(sent: bytes) -> tuple[str, ...]:
    return ("HEAD",) if sent.lstrip(b"\r\n").startswith(b"HEAD ") else ()
