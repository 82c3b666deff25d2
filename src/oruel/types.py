"""The types that the whole package shares: a chat request, and the deltas of its answer."""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, get_args

import msgspec

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
Tier = Literal["standard", "turbo"]
TIERS: tuple[Tier, ...] = get_args(Tier)
UpstreamKind = Literal["vllm", "sglang", "llama-server", "openai", "oruel"]
ToolMode = Literal["none", "auto", "required"]
TokenSource = Literal["drawn", "greedy", "forced", "closing", "prefix"]


# The header that counts the Oru'el instances that a request has passed through.
HOPS = "x-oruel-hops"


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call. `parameters` is the JSON Schema of its arguments, an object. With `strict`,
    the arguments satisfy every keyword of the schema.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`arguments` is the text of a JSON object."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Whether the model may or must call functions. `names` are the functions that it may call: all declared ones, or
    the one that the request names.
    """

    mode: ToolMode = "none"
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """Every field but `type` belongs to json_schema. `name` and `description` are for upstream servers, which may show
    them to their model.
    """

    type: Literal["text", "json_object", "json_schema"] = "text"
    schema: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False
    name: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the conversation. A `developer` message is already a `system` message, and text parts are joined.

    Only assistant messages have `tool_calls`. A tool message answers the call `tool_call_id` of the function `name`.
    """

    role: Role
    content: str
    name: str | None = None
    reasoning_content: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How one token is chosen. The defaults leave the model's distribution unchanged.

    `seed` is a signed 64-bit integer, random if the caller gave none.
    `logprobs` is the number of alternatives to report for each token; None disables log-probabilities.
    `trace` is the number of leading candidates to report for each token; None disables traces.
    `reproducible` is true if the caller gave a seed or chose greedy sampling, and so expects the same text again.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int = 0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    logprobs: int | None = None
    trace: int | None = None
    reproducible: bool = True

    @property
    def is_greedy(self) -> bool:
        """Whether only one token is left to draw from."""
        return self.temperature == 0 or self.top_k == 1 or self.top_p == 0


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One validated request. `max_tokens` None means as many as fit into the context window. `account` identifies the
    caller without revealing the key; it is "" on an endpoint without keys. `hops` counts the Oru'el instances that the
    request has passed through. `prefix` are the token ids that every choice begins with.
    """

    id: str
    model: str
    messages: tuple[Message, ...]
    sampling: SamplingParams
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    tier: Tier = "standard"
    response_format: ResponseFormat = ResponseFormat()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    parallel_tool_calls: bool = True
    account: str = ""
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    hops: int = 0
    prefix: tuple[int, ...] = ()

    @property
    def calls_tools(self) -> bool:
        """Whether the answer may call functions."""
        return self.tool_choice.mode != "none"

    @property
    def callable_tools(self) -> tuple[Tool, ...]:
        return tuple(tool for tool in self.tools if tool.name in self.tool_choice.names)

    @property
    def answers_json(self) -> bool:
        """Whether the answer has to be a JSON document, unless it consists of calls."""
        return self.response_format.type != "text"

    @property
    def answers_document_or_calls(self) -> bool:
        return self.answers_json and self.tool_choice.mode == "auto"


@dataclass(frozen=True, slots=True)
class Alternative:
    """A token that the model could have chosen. `logprob` is its natural log-probability in the model's own
    distribution.
    """

    id: int
    bytes: bytes
    logprob: float


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A chosen token, with the most probable tokens at its position, best first."""

    id: int
    bytes: bytes
    logprob: float
    alternatives: tuple[Alternative, ...] = ()


class CandidateTrace(msgspec.Struct, array_like=True, frozen=True):
    """A candidate of one token. `logit` is the model's, None for −∞; `count` is how often the output already contains
    it. `probability` is the model's; `after` has the probability after each active step, 0 once it is removed.
    """

    id: int
    logit: float | None
    bias: float
    count: int
    probability: float
    after: list[float]
    removed_by: str | None


class TokenCount(msgspec.Struct, frozen=True):
    """A set of tokens. `mass` is their probability in the model's distribution."""

    count: int
    mass: float


class LogitHistogram(msgspec.Struct, frozen=True):
    """Bins of equal width from `low` to `high`: the number of tokens in each, and their mass in the model's
    distribution. Lower logits count in the first bin.
    """

    low: float
    high: float
    counts: list[int]
    masses: list[float]


class DrawTrace(msgspec.Struct, frozen=True):
    """`u` fell into [low, high), the token's interval of the cumulative distribution."""

    u: float
    low: float
    high: float


class EntropyChange(msgspec.Struct, frozen=True):
    """In bits: of the model's distribution, and of the one that the token was drawn from."""

    before: float
    after: float


class TokenTrace(msgspec.Struct, array_like=True, frozen=True):
    """How one token was chosen (docs/trace.md). `steps` are the active steps in order. `rest` is a histogram of the
    allowed tokens that are not among the candidates. `draw` is None unless the token was drawn. Of a token of the
    request's prefix, only the source is known.
    """

    source: TokenSource
    vocabulary_size: int = 0
    steps: list[str] = []
    candidates: list[CandidateTrace] = []
    survivors: TokenCount | None = None
    allowed: TokenCount | None = None
    rest: LogitHistogram | None = None
    draw: DrawTrace | None = None
    entropy: EntropyChange | None = None


@dataclass(frozen=True, slots=True)
class TokenText:
    """A token as text. A control token has no `bytes`, and its name as `text`."""

    text: str
    bytes: bytes


@dataclass(frozen=True, slots=True)
class TracedToken:
    """`texts` has the text of the token and of every candidate, by id."""

    id: int
    trace: TokenTrace
    texts: Mapping[int, TokenText]


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of a whole request, over all its choices.

    `cached_tokens` are the `prompt_tokens` that were already in the KV cache when the first choice started. `cost` is
    the price that the ledger recorded, in USD; None without a ledger.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    cost: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of call number `index` of a choice. The first piece of a call has `id` and `name` and no arguments."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A deployment is ready to answer: the prompt has at most `prompt_tokens`, each choice at most `max_tokens`. It
    computes nothing until the next item is asked for, so that the ledger can reserve the price first.
    """

    prompt_tokens: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Progress:
    """What an answer has used so far. `estimated`: the upstream server has not reported it yet."""

    usage: Usage
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """The beginning of an answer: the request has left the queue after `queued` seconds, and `deployment` answers it,
    which honours the parameters in `differs` differently from the contract. If that deployment fails before its first
    delta, the next one's Prepared and Accepted follow. `progress` returns what the answer has used so far.
    """

    queued: float = 0.0
    deployment: str = ""
    differs: tuple[str, ...] = ()
    progress: Callable[[], Progress] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoicePiece:
    """A part of one choice. `finish` is set on the last piece of the choice."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    trace: tuple[TracedToken, ...] = ()
    finish: FinishReason | None = None

    @property
    def is_empty(self) -> bool:
        return not (self.text or self.reasoning or self.tool_calls or self.logprobs or self.trace or self.finish)


@dataclass(frozen=True, slots=True)
class Delta(ChoicePiece):
    """A piece of the choice with index `choice`. `usage` is only set on the last delta of the request. `model` is the
    model that answered, `tier` the tier that served. The delta of a choice's first token comes even if its text is
    still held back.
    """

    choice: int
    model: str
    tier: Tier
    usage: Usage | None = None

    @classmethod
    def of(cls, piece: ChoicePiece, choice: int, model: str, tier: Tier, usage: Usage | None = None) -> "Delta":
        return cls(
            choice,
            model,
            tier,
            usage,
            text=piece.text,
            reasoning=piece.reasoning,
            tool_calls=piece.tool_calls,
            logprobs=piece.logprobs,
            trace=piece.trace,
            finish=piece.finish,
        )


Answer = AsyncGenerator[Prepared | Accepted | Delta, None]
"""Begins with a Prepared and an Accepted; deltas follow."""

MeteredAnswer = AsyncGenerator[Accepted | Delta, None]
"""An answer that the ledger records."""
