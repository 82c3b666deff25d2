"""The messages between the API process and the engine process: token ids and numbers, never text.

Each frame is msgpack, preceded by its length as four little-endian bytes.
"""

import struct
from typing import Literal

import msgspec

from oruel.constraints.spec import ConstraintSpec
from oruel.types import SamplingParams, Tier, TokenTrace

LENGTH = struct.Struct("<I")
MAX_FRAME_BYTES = 256 * 2**20

Ending = Literal["stop", "length", "complete"]

# In place of a token: the sequence ended after its last token, which has been sent already.
NO_TOKEN = -1


class EngineMessage(msgspec.Struct, tag=True, array_like=True, frozen=True):
    pass


class Start(EngineMessage, frozen=True):
    """The first message: what to load. `context` is the window of one request and `pool` the KV cache, both in tokens;
    `parallel` is the number of sequences that run at once. With None the engine chooses.
    """

    model: str
    library: str | None = None
    context: int | None = None
    pool: int | None = None
    parallel: int | None = None
    threads: int | None = None
    gpu_layers: int = 0


class Submit(EngineMessage, frozen=True):
    """Starts a sequence. `max_tokens` is already clamped: len(prompt) + max_tokens <= context. Sequences with the same
    `cache_salt` share computed prefixes. The output begins with `prefix`, which is shorter than max_tokens.
    """

    sequence: int
    prompt: list[int]
    choice: int
    max_tokens: int
    sampling: SamplingParams
    tier: Tier = "standard"
    cache_salt: str = ""
    constraint: ConstraintSpec | None = None
    prefix: tuple[int, ...] = ()


class Cancel(EngineMessage, frozen=True):
    """Forgets a sequence. Unknown and finished sequences are ignored, since the two processes race."""

    sequence: int


class Ping(EngineMessage, frozen=True):
    """Asks for a Pong, which is sent between two steps and shows that the engine's loop is running."""


class EngineReady(EngineMessage, frozen=True):
    """Sent once, when the model is loaded: the values chosen for what Start left open, in tokens; the kernels that
    compute the logits; whether the vocabulary can spell JSON byte by byte; and the number of threads, out of `cores` (0
    if the number is fixed).
    """

    context: int
    pool: int
    parallel: int
    kernels: str
    writes_json: bool = True
    threads: int = 1
    cores: int = 0


class StartFailed(EngineMessage, frozen=True):
    """Sent instead of EngineReady if the engine can't start. `message` says why and what to do."""

    message: str


class Pong(EngineMessage, frozen=True):
    """The answer to a Ping."""


class TokenOutput(msgspec.Struct, array_like=True, frozen=True):
    """One generated token. `finish` is set on the last token of a sequence: "stop" if it is an end token of the model,
    "complete" if it is text after which the constraint allows nothing. `token` may then be NO_TOKEN.

    `logprob` and `alternatives` (token, logprob; best first) are set if the request asked for them, and so is `trace`.
    """

    sequence: int
    token: int
    finish: Ending | None = None
    logprob: float | None = None
    alternatives: list[tuple[int, float]] = []
    trace: TokenTrace | None = None


class SequenceFailed(msgspec.Struct, array_like=True, frozen=True):
    """A sequence that ended without a token; the others continue. `param`: the request's parameter at fault, if any."""

    sequence: int
    message: str
    param: str = ""


class SequenceStarted(msgspec.Struct, array_like=True, frozen=True):
    """A sequence that left the queue for the first time. `cached` tokens of its prompt had been computed already."""

    sequence: int
    cached: int


class EngineLoad(msgspec.Struct, array_like=True, frozen=True):
    """The engine's state after a step: sequences, and tokens in the KV cache. Counted since the start: preemptions,
    steps, and prompt tokens computed and found in the cache. `threads` is the current number of compute threads.
    """

    running: int = 0
    waiting: int = 0
    kv_used: int = 0
    preemptions: int = 0
    steps: int = 0
    computed: int = 0
    cached: int = 0
    threads: int = 0


class StepOutput(EngineMessage, frozen=True):
    """The output of one step, in one message."""

    tokens: list[TokenOutput]
    failures: list[SequenceFailed]
    started: list[SequenceStarted]
    load: EngineLoad


ToEngine = Start | Submit | Cancel | Ping
FromEngine = EngineReady | StartFailed | Pong | StepOutput

encode = msgspec.msgpack.Encoder().encode
decode_to_engine = msgspec.msgpack.Decoder(ToEngine).decode
decode_from_engine = msgspec.msgpack.Decoder(FromEngine).decode


def frame(message: ToEngine | FromEngine) -> bytes:
    body = encode(message)
    return LENGTH.pack(len(body)) + body
