"""One case over a socket: its bytes go out, and every byte that comes back is read."""

import asyncio
from collections.abc import Awaitable, Iterable
from contextlib import suppress

from tests.fuzz.answers import Answers
from tests.fuzz.cases import Case, Step
from tests.soak.wrong import Wrong, hold

HANG_SECONDS = 10.0
QUIET_SECONDS = 0.2
# A server that refuses a body this large may reset the connection before its answer is read.
RESET_BYTES = 60_000


async def exchange(port: int, case: Case) -> Answers:
    """Raises Wrong where the server doesn't answer in time, or with what is no HTTP."""
    answers = Answers(case.methods if case.methods is not None else guessed_methods(case.sent))
    reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), HANG_SECONDS)
    receiving = asyncio.create_task(receive(reader, answers, case))
    try:
        await within(send(writer, case.steps), "doesn't take what it is sent")
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
        await within(receiving, "gives no whole answer")
        return
    # How many answers there will be isn't known: the connection has to end once the client ends it.
    await asyncio.wait([receiving], timeout=QUIET_SECONDS)
    if not receiving.done():
        with suppress(OSError):
            writer.write_eof()
    await within(receiving, "keeps a connection open that the client has ended")


async def within(awaited: Awaitable[None], what: str) -> None:
    try:
        async with asyncio.timeout(HANG_SECONDS):
            await awaited
    except TimeoutError:
        raise Wrong(f"hangs: for {HANG_SECONDS:g} seconds the server {what}") from None


async def send(writer: asyncio.StreamWriter, steps: Iterable[Step]) -> None:
    """A server may close the connection before all is sent."""
    with suppress(ConnectionError):
        for step in steps:
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
            else:
                await asyncio.sleep(step)


async def receive(reader: asyncio.StreamReader, answers: Answers, case: Case) -> None:
    """Until all answers are there, or the connection ends."""
    data = b"-"
    while data and not (case.methods is not None and answers.whole >= len(case.methods)):
        try:
            data = await reader.read(2**16)
        except ConnectionError:
            data = b""
        answers.feed(data)


def check_number(answers: Answers, case: Case) -> None:
    """Each request of a connection is answered, except behind an answer that closes it."""
    if case.methods is None or len(case.sent) > RESET_BYTES:
        return
    closes = answers.found and answers.found[-1].headers.get(b"connection", b"").lower() == b"close"
    hold(bool(closes) or answers.whole == len(case.methods), f"{answers.whole} of {len(case.methods)} answers")


def guessed_methods(sent: bytes) -> tuple[str, ...]:
    return ("HEAD",) if sent.lstrip(b"\r\n").startswith(b"HEAD ") else ()
