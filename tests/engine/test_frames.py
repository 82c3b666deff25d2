"""Messages come out of a real pipe whole and in order, wherever its reads happen to end."""

import asyncio
import os

import pytest

from oruel.engine.frames import FrameReader
from oruel.engine.protocol import MAX_FRAME_BYTES, EngineLoad, FromEngine, Pong, StepOutput, TokenOutput, frame

MESSAGES: list[FromEngine] = [
    Pong(),
    StepOutput([TokenOutput(1, token) for token in range(300)], [], [], EngineLoad(running=1)),
    Pong(),
    StepOutput([TokenOutput(1, 7, "stop")], [], [], EngineLoad()),
]


def heard(*parts: bytes) -> list[FromEngine]:
    """What is passed on where the parts are read one by one, until the pipe is closed."""
    messages: list[FromEngine] = []

    async def read() -> None:
        frames = FrameReader(messages.append)
        ours, theirs = os.pipe()
        await frames.read(ours)
        for part in parts:
            os.write(theirs, part)
            await asyncio.sleep(0)
        os.close(theirs)
        async with asyncio.timeout(30):
            await frames.ended

    asyncio.run(read())
    return messages


@pytest.mark.parametrize("length", [1, 3, 700, 10_000])
def test_messages_are_whole_and_in_order_however_they_are_cut(length: int) -> None:
    data = b"".join(map(frame, MESSAGES))
    assert heard(*(data[start : start + length] for start in range(0, len(data), length))) == MESSAGES


def test_a_message_that_was_cut_off_is_not_passed_on() -> None:
    assert heard(frame(MESSAGES[0]) + frame(MESSAGES[1])[:-1]) == MESSAGES[:1]


def test_a_length_that_no_message_has_ends_the_reading() -> None:
    length = (MAX_FRAME_BYTES + 1).to_bytes(4, "little")
    assert heard(frame(MESSAGES[0]) + length + frame(MESSAGES[1])) == MESSAGES[:1]
