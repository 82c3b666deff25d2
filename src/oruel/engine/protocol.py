"""What crosses the boundary between the API process and the engine process: token ids and numbers, never text.

Frames are msgpack, each behind its length as four little-endian bytes.
"""

import struct
from typing import Literal

import msgspec

from oruel.constraints.spec import ConstraintSpec
from oruel.types import SamplingParams, Tier

LENGTH = struct.Struct("<I")
MAX_FRAME_BYTES = 256 * 2**20

Ending = Literal["stop", "length", "complete"]


class EngineMessage(msgspec.Struct, tag=True, array_like=True, frozen=True):
    pass


class Start(EngineMessage, frozen=True):
    """The first message: what to load and how much of it to hold. `context` is one request's window, `pool` the
    KV cache in tokens, `parallel` the sequences that run at once; None leaves the choice to the engine.
    """

    model: str
    library: str | None = None
    context: int | None = None
    pool: int | None = None
    parallel: int | None = None
    threads: int | None = None
    gpu_layers: int = 0


class Submit(EngineMessage, frozen=True):
    """Start a sequence. `max_tokens` is already clamped to the context: len(prompt) + max_tokens <= context.
    Computed prefixes are shared among sequences of the same `cache_salt`.
    """

    sequence: int
    prompt: list[int]
    choice: int
    max_tokens: int
    sampling: SamplingParams
    tier: Tier = "standard"
    cache_salt: str = ""
    constraint: ConstraintSpec | None = None


class Cancel(EngineMessage, frozen=True):
    """Forget a sequence; unknown or finished ones are passed over, since the two processes race."""

    sequence: int


class Ping(EngineMessage, frozen=True):
    """Asks for a Pong, which comes between two steps: it shows that the engine's loop moves."""


class EngineReady(EngineMessage, frozen=True):
    """Sent once, when the model is loaded and the engine takes work: what Start's Nones became, in tokens,
    the kernels that compute the logits, whether the vocabulary can spell JSON byte by byte, and the threads that
    compute, of the `cores` that they are chosen from; 0 for a fixed number.
    """

    context: int
    pool: int
    parallel: int
    kernels: str
    writes_json: bool = True
    threads: int = 1
    cores: int = 0


class StartFailed(EngineMessage, frozen=True):
    """Sent instead of Ready: the engine can't start; `message` says why and what to do."""

    message: str


class Pong(EngineMessage, frozen=True):
    """The answer to a Ping."""


class TokenOutput(msgspec.Struct, array_like=True, frozen=True):
    """One generated token. `finish` is set on the last of its sequence: `stop` where `token` is the model's end,
    `complete` where it is text that its constraint lets nothing follow.

    `logprob` and `alternatives` (token, logprob; best first) are filled where they were asked for.
    """

    sequence: int
    token: int
    finish: Ending | None = None
    logprob: float | None = None
    alternatives: list[tuple[int, float]] = []


class SequenceFailed(msgspec.Struct, array_like=True, frozen=True):
    """A sequence that ended without a token; the others continue. `param`: the request's parameter at fault, if any."""

    sequence: int
    message: str
    param: str = ""


class SequenceStarted(msgspec.Struct, array_like=True, frozen=True):
    """A sequence that left the queue for the first time; `cached` tokens of its prompt were computed already."""

    sequence: int
    cached: int


class EngineLoad(msgspec.Struct, array_like=True, frozen=True):
    """What the engine holds, as of one step: sequences, tokens in the KV cache; counts since it started, of
    preemptions, steps, and prompt tokens computed and found in the cache; and the threads that compute.
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
    """All tokens of one step, in one message."""

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
