"""The messages between the API process and the job server: msgpack frames, each preceded by its length."""

from collections.abc import Iterator
from typing import Generic, Literal, TypeVar

import msgspec

from oruel.engine.protocol import LENGTH
from oruel.jobs.base import Kind

Reason = Literal["cpu", "memory", "time", "gave way", "no room", "failed"]

M = TypeVar("M")


class Limits(msgspec.Struct, frozen=True, array_like=True):
    """Per job: `seconds` of CPU time; `memory`, the bytes that it may use in addition to the job server's; `longest`,
    the seconds from its start to its end. For all jobs: `total_memory` bytes. Per kind: `places`, the jobs that run at
    once, and `waiting`, the jobs that wait.
    """

    seconds: float = 2.0
    memory: int = 512 * 2**20
    longest: float = 60.0
    total_memory: int = 2**30
    places: int = 16
    waiting: int = 128


class TokenizerSource(msgspec.Struct, frozen=True, array_like=True):
    """The arguments of a Tokenizer for a model file and a libllama library."""

    path: str
    library: str | None
    describes_tools: bool


class JobMessage(msgspec.Struct, tag=True, array_like=True, frozen=True):
    pass


class Rehearsal(msgspec.Struct, frozen=True, array_like=True):
    """A warm-up question. Its answer is dropped; what the work caches is shared with all jobs."""

    work: str
    question: bytes


class Open(JobMessage, frozen=True):
    """The first message: what to load and to warm up before the first job. `works` are the functions that will run."""

    works: list[str]
    rehearsals: list[Rehearsal]
    tokenizers: list[TokenizerSource]
    limits: Limits


class Run(JobMessage, frozen=True):
    """Starts or queues a job. A socket comes with the message: the job reads its question from it and writes its answer
    to it. Closing the other end of the socket ends the job. `work` is "module:function".
    """

    job: int
    work: str
    kind: Kind
    account: str


class ServerReady(JobMessage, frozen=True):
    """Sent once, when jobs can run."""


class Refused(JobMessage, frozen=True):
    """Sent instead of ServerReady: `message` says why no job can run."""

    message: str


class Ended(JobMessage, frozen=True):
    """A job that will not answer, after so many seconds of CPU time. `detail` says how its process ended."""

    job: int
    reason: Reason
    seconds: float = 0.0
    detail: str = ""


class Failed(msgspec.Struct, frozen=True):
    """An error that the work raised: its class in errors.py, or "" for an unexpected one, whose message is the
    traceback.
    """

    error: str
    message: str
    param: str | None = None


ToServer = Open | Run
FromServer = ServerReady | Refused | Ended

to_server_decoder = msgspec.msgpack.Decoder(ToServer)
from_server_decoder = msgspec.msgpack.Decoder(FromServer)


def encode_message(message: JobMessage) -> bytes:
    body = msgspec.msgpack.encode(message)
    return LENGTH.pack(len(body)) + body


class Inbox(Generic[M]):
    """Bytes in, complete messages out."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[M]) -> None:
        self._decoder = decoder
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[M]:
        self._data += data
        while len(self._data) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(self._data)[0]
            if len(self._data) < end:
                return
            message = self._decoder.decode(self._data[LENGTH.size : end])
            del self._data[:end]
            yield message
