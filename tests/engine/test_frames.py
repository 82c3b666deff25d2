"""FrameReader over a real pipe: messages arrive whole and in order, for any size of reads."""

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


def read_messages(*parts: bytes) -> list[FromEngine]:
    """The messages that arrive if the parts are written one by one and the pipe is then closed."""
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
def test_messages_arrive_whole_and_in_order_for_any_read_size(length: int) -> None:
    data = b"".join(map(frame, MESSAGES))
    assert read_messages(*(data[start : start + length] for start in range(0, len(data), length))) == MESSAGES


def test_a_truncated_message_is_dropped() -> None:
    assert read_messages(frame(MESSAGES[0]) + frame(MESSAGES[1])[:-1]) == MESSAGES[:1]


def test_an_impossible_length_stops_the_reader() -> None:
    length = (MAX_FRAME_BYTES + 1).to_bytes(4, "little")
    assert read_messages(frame(MESSAGES[0]) + length + frame(MESSAGES[1])) == MESSAGES[:1]
