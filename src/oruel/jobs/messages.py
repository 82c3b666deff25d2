"""The messages between the API process and the job server, in msgpack, each preceded by its length."""

from collections.abc import Iterator
from typing import Generic, Literal, TypeVar

import msgspec

from oruel.engine.protocol import LENGTH
from oruel.jobs.base import Kind

Reason = Literal["cpu", "memory", "time", "preempted", "overloaded", "failed"]

M = TypeVar("M")


class Limits(msgspec.Struct, frozen=True, array_like=True):
    """Per job: CPU time, memory in bytes, and wall-clock time. Memory shared with the job server doesn't count.
    `total_memory` is the maximum of all running jobs together, in bytes. Per kind of work, `slots` jobs run at once and
    `queue` jobs wait.
    """

    cpu_seconds: float = 2.0
    memory: int = 512 * 2**20
    wall_seconds: float = 60.0
    total_memory: int = 2**30
    slots: int = 16
    queue: int = 128


class GgufTokenizer(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """The tokenizer of a GGUF file. `library`: a libllama other than the default."""

    path: str
    library: str | None
    describes_tools: bool


class HuggingFaceTokenizer(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """The tokenizer of a model in Hugging Face form. `path`: its folder."""

    path: str
    describes_tools: bool


TokenizerSource = GgufTokenizer | HuggingFaceTokenizer
"""What the job server needs to load the tokenizer of a model."""


class JobMessage(msgspec.Struct, tag=True, array_like=True, frozen=True):
    pass


class Rehearsal(msgspec.Struct, frozen=True, array_like=True):
    """A warm-up call before the first job. Its answer is discarded, but all jobs share the caches that it fills."""

    work: str
    question: bytes


class Open(JobMessage, frozen=True):
    """The first message: what to load before the first job. `works` are the functions that jobs may run."""

    works: list[str]
    rehearsals: list[Rehearsal]
    tokenizers: list[TokenizerSource]
    limits: Limits


class Run(JobMessage, frozen=True):
    """Starts or queues a job. The message carries a socket: the job reads its question from it and writes its answer to
    it. Closing the other end cancels the job. `work` is "module:function".
    """

    job: int
    work: str
    kind: Kind
    account: str


class ServerReady(JobMessage, frozen=True):
    """Sent once, after the job server has loaded everything."""


class Refused(JobMessage, frozen=True):
    """Sent instead of ServerReady if loading failed. `message` says why."""

    message: str


class Ended(JobMessage, frozen=True):
    """A job ended without an answer. `detail` is the exit status or signal of its process, for the log."""

    job: int
    reason: Reason
    cpu_seconds: float = 0.0
    detail: str = ""


class Failed(msgspec.Struct, frozen=True):
    """An error that the work raised. `error` is its class in errors.py; "" for any other exception, whose `message` is
    the traceback.
    """

    error: str
    message: str
    param: str | None = None


ToServer = Open | Run
FromServer = ServerReady | Refused | Ended

to_server_decoder = msgspec.msgpack.Decoder(ToServer)
from_server_decoder = msgspec.msgpack.Decoder(FromServer)


def encode_message(message: JobMessage) -> bytes:
    return prefix_length(msgspec.msgpack.encode(message))


def prefix_length(data: bytes) -> bytes:
    return LENGTH.pack(len(data)) + data


class Inbox(Generic[M]):
    """Splits a stream of bytes into messages."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[M]) -> None:
        self._decoder = decoder
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[M]:
        """Yields each complete message, and keeps the rest for the next call."""
        self._data += data
        while len(self._data) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(self._data)[0]
            if len(self._data) < end:
                return
            message = self._decoder.decode(self._data[LENGTH.size : end])
            del self._data[:end]
            yield message
