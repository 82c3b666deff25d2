"""What Oru'el and its plugin inside vLLM say to each other. Both import this module, so each message is declared once.

Oru'el's messages travel as `SamplingParams.extra_args["oruel"]` of a request to vLLM. The plugin has no channel of its
own back: it answers by the tokens that it forces. To a HelloRequest or a CheckRequest it forces a reply. In a row it
forces, after the last token of the answer, an ending that says how the answer ended (`ending_tokens`).
"""

import hashlib
import itertools
import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

import msgspec

from oruel.constraints.spec import ConstraintSpec
from oruel.errors import OruelError
from oruel.types import SamplingParams

# Raised whenever a message changes its meaning. Both ends refuse another version.
WIRE_VERSION = 1
EXTRA_ARG = "oruel"

# The beginning of the answer to a Hello, so that a model's own tokens are not taken for one.
MAGIC = b"oruel!"
# A reply is sent as bytes, one token for each: token id 65 means the byte 65. It ends with 0, where vLLM stops.
BYTE_VALUES = 256
REPLY_END = 0
MAX_HELLO_TOKENS = 1024
CHECK_TOKENS = 2

# The number of marks that begin an ending (Ending). One or two mean that a constraint ended the answer.
COMPLETE_MARKS, CLOSED_MARKS, FAILED_MARKS = 1, 2, 3
MAX_FAILURE_BYTES = 512
SEAL_TOKENS = 4
# How many tokens vLLM's max_tokens allows a row beyond the answer's.
ENDING_ROOM = FAILED_MARKS + SEAL_TOKENS + 1 + MAX_FAILURE_BYTES + 1
# How many tokens at the end of vLLM's window no answer takes, so that one that fills the window has room for its marks.
WINDOW_RESERVE = 2


class WireError(OruelError):
    """The other end sent something that this version can't read. `message` says what."""

    code = "wire_error"


class FailureKind(IntEnum):
    """`CONSTRAINT`: the constraint can't be enforced, which is the request's fault. `ENGINE`: the row's logits or the
    plugin are at fault. `CHANGED`: this is not the engine that the request was made for.

    They are letters because vLLM stops at end tokens, which many vocabularies have at 0 to 2, but none among text.
    """

    CONSTRAINT = ord("c")
    ENGINE = ord("e")
    CHANGED = ord("x")


class Failure(msgspec.Struct, frozen=True):
    """Why a row can't be continued. Sent as its kind and the bytes of the message in UTF-8, one token each."""

    kind: FailureKind
    message: str

    def tokens(self) -> list[int]:
        return [self.kind, *self.message.encode()[:MAX_FAILURE_BYTES]]

    @classmethod
    def read(cls, tokens: list[int]) -> "Failure":
        """From its tokens, which may be cut. Raises WireError."""
        if not tokens or tokens[0] not in list(FailureKind) or max(tokens) >= BYTE_VALUES:
            raise WireError("The plugin's reason for a failure can't be read.")
        return cls(FailureKind(tokens[0]), bytes(tokens[1:]).decode(errors="replace"))


class RowRequest(msgspec.Struct, frozen=True, kw_only=True, tag="row"):
    """One choice of a request: how the plugin chooses the tokens of one row.

    `engine` is the fingerprint that the plugin reported (HelloReply.fingerprint): a plugin with another one fails the
    row. `max_tokens` limits the tokens of the answer; vLLM's own limit is ENDING_ROOM higher, so that the plugin can
    always say how the answer ended. Only a row with neither a constraint nor an end token has no such room.
    `prompt_tokens` is the length of the prompt, of which penalties and positions count nothing. The constraints of
    different `cache_salt`s (accounts) are compiled in turn.

    vLLM ends the row at an `end_token`, as the contract wants. Where the answer ends otherwise, the plugin forces
    `ending_tokens`, which begin with `mark`: a token without text, which ends nothing and which the constraint never
    allows. Rows without a constraint may contain it, also FAILED_MARKS times in a row: a client can search for a seed
    with which the model repeats it. So `seal`, which no client knows, follows in a failure (`new_seal`).
    """

    version: int = WIRE_VERSION
    engine: str
    choice: int
    sampling: SamplingParams
    constraint: ConstraintSpec | None = None
    end_tokens: list[int]
    mark: int
    max_tokens: int
    prompt_tokens: int
    cache_salt: str = ""
    seal: list[int] = []


class HelloRequest(msgspec.Struct, frozen=True, tag="hello"):
    """Asks the plugin to introduce itself. The plugin forces the tokens of `hello_tokens`."""

    version: int = WIRE_VERSION


class CheckRequest(msgspec.Struct, frozen=True, tag="check"):
    """Asks whether the plugin is still there, and the same. The plugin forces the tokens of `check_tokens`."""

    nonce: str
    version: int = WIRE_VERSION


FromOruel = RowRequest | HelloRequest | CheckRequest


class HelloReply(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What the plugin knows of the vLLM that it runs in. Sent as an array, since each byte costs vLLM a step.

    `vocabulary_size` is the width of the logits. `tokenizer` is the vocabulary_digest of the tokenizer that the plugin
    computes constraints with; empty if it couldn't load one, and then it fails rows with constraints.
    `window`: vLLM's max_model_len, in tokens. `parallel`: its max_num_seqs. `runner`: its model runner, "v1" or "v2".
    `ranks`: on how many devices one copy of the model is spread.
    """

    version: int = WIRE_VERSION
    plugin: str
    vllm: str
    model: str
    vocabulary_size: int
    tokenizer: str
    window: int
    parallel: int
    max_logprobs: int
    runner: str
    dtype: str = ""
    ranks: int = 1
    priority_scheduling: bool = False
    prefix_caching: bool = False
    async_scheduling: bool = False
    speculative_decoding: bool = False
    batch_invariant: bool = False

    @property
    def usable_window(self) -> int:
        """The number of tokens that a prompt and its answer may have together."""
        return self.window - WINDOW_RESERVE

    @property
    def fingerprint(self) -> str:
        """Identifies what a seeded text depends on: the model, both versions, and how vLLM computes."""
        return hashlib.sha256(msgspec.msgpack.encode(self)).hexdigest()[:16]


class PieceVocabulary(Protocol):
    """What a digest needs of a vocabulary. `size` is the number of its tokens."""

    @property
    def size(self) -> int: ...

    def piece(self, token: int) -> bytes: ...

    def is_end(self, token: int) -> bool: ...


def to_extra_args(message: FromOruel) -> dict[str, Any]:
    """The message as JSON values, as SamplingParams.extra_args holds it."""
    return {EXTRA_ARG: msgspec.to_builtins(message, str_keys=True)}


def from_extra_args(extra_args: Mapping[str, Any] | None) -> FromOruel | None:
    """The message of a request to vLLM; None if the request is not from Oru'el. Raises WireError."""
    given = (extra_args or {}).get(EXTRA_ARG)
    if given is None:
        return None
    version = given.get("version") if isinstance(given, dict) else None
    if version != WIRE_VERSION:
        raise WireError(
            f"Oru'el sent version {version!r} of its messages, but this plugin reads version {WIRE_VERSION}. Install "
            "the plugin that came with this Oru'el."
        )
    try:
        message: FromOruel = msgspec.convert(given, FromOruel, str_keys=True)
    except msgspec.ValidationError as error:
        raise WireError(f"Oru'el sent a message that this plugin can't read: {error}.") from error
    return message


def hello_tokens(reply: HelloReply) -> list[int]:
    """The tokens that the plugin forces in answer to a HelloRequest: MAGIC, JSON, REPLY_END. The vocabulary needs at
    least BYTE_VALUES tokens.
    """
    return [*MAGIC, *msgspec.json.encode(reply), REPLY_END]


def is_hello(tokens: list[int]) -> bool:
    """Whether the tokens may be the beginning of a reply to a HelloRequest, or a whole one."""
    return tokens[: len(MAGIC)] == list(MAGIC)[: len(tokens)] and max(tokens, default=0) < BYTE_VALUES


def read_hello(tokens: list[int]) -> HelloReply:
    """Raises WireError. The version is read first: other versions may have other fields."""
    if not is_hello(tokens) or len(tokens) <= len(MAGIC) or tokens[-1] != REPLY_END:
        raise WireError("The tokens are no reply of the plugin.")
    body = bytes(tokens[len(MAGIC) : -1])
    try:
        version = msgspec.json.decode(body, type=HelloVersion).version
        if version != WIRE_VERSION:
            raise WireError(
                f"The plugin speaks version {version} of the messages, but this Oru'el version {WIRE_VERSION}. Install "
                "the plugin that came with this Oru'el."
            )
        return msgspec.json.decode(body, type=HelloReply)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise WireError(f"The plugin's reply can't be read: {error}.") from error


class HelloVersion(msgspec.Struct, array_like=True):
    version: int


def check_tokens(fingerprint: str, nonce: str, vocabulary_size: int) -> list[int]:
    """The CHECK_TOKENS tokens that the plugin forces in answer to a CheckRequest; a model hardly chooses the same."""
    digest = hashlib.sha256(f"{fingerprint} {nonce}".encode()).digest()
    return [int.from_bytes(digest[8 * i : 8 * i + 8]) % vocabulary_size for i in range(CHECK_TOKENS)]


def vocabulary_digest(vocabulary: PieceVocabulary) -> str:
    """Identifies the bytes of every token and which tokens end an answer."""
    digest = hashlib.sha256()
    for part in digested_parts(vocabulary):
        digest.update(part)
    return digest.hexdigest()[:32]


def digested_parts(vocabulary: PieceVocabulary) -> Iterator[bytes]:
    for token in range(vocabulary.size):
        piece = vocabulary.piece(token)
        yield len(piece).to_bytes(4) + bytes([vocabulary.is_end(token)]) + piece


def ending_tokens(row: RowRequest, marks: int, failure: Failure | None = None) -> list[int]:
    """The tokens that the plugin forces where an answer ends otherwise than by an end token of the model's choice. vLLM
    stops at the last one.

    COMPLETE_MARKS: the constraint allows nothing more. CLOSED_MARKS: the same, but since the token budget closed the
    document. FAILED_MARKS and the seal, with `failure`: the row can't be continued. 0: the answer would
    go on, but has max_tokens tokens.
    """
    assert (failure is not None) == (marks == FAILED_MARKS)
    return [row.mark] * marks + ([*row.seal, *failure.tokens()] if failure else []) + row.end_tokens[:1]


def new_seal(row_tokens: Collection[int]) -> list[int]:
    """SEAL_TOKENS random tokens below BYTE_VALUES, none of them in `row_tokens`: the mark, and where vLLM stops."""
    choices = [token for token in range(BYTE_VALUES) if token not in row_tokens]
    return [secrets.choice(choices) for _ in range(SEAL_TOKENS)]


@dataclass(frozen=True, slots=True)
class SilentTokens:
    """The tokens that have no text and end nothing: `known`, highest first, and all ids of the logits from `size` on,
    which the tokenizer doesn't have.
    """

    known: tuple[int, ...]
    size: int

    @classmethod
    def of(cls, vocabulary: PieceVocabulary) -> "SilentTokens":
        """Takes tens of milliseconds for a large vocabulary."""
        ids = reversed(range(vocabulary.size))
        known = tuple(token for token in ids if not (vocabulary.piece(token) or vocabulary.is_end(token)))
        return cls(known, vocabulary.size)


def choose_mark(silent: SilentTokens, vocabulary_size: int, used: Collection[int]) -> int | None:
    """The highest silent id of the logits that is not `used` by the request; None if there is none."""
    ids = itertools.chain(range(vocabulary_size - 1, silent.size - 1, -1), silent.known)
    return next((token for token in ids if token not in used), None)
