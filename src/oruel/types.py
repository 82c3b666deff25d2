"""The nouns everyone shares: what a chat request asks for, and the deltas that answer it."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
Tier = Literal["standard", "turbo"]
UpstreamKind = Literal["vllm", "sglang", "llama-server", "openai", "oruel"]
ToolMode = Literal["none", "auto", "required"]


# The header by which Oru'els tell one another how many of them a request has passed through.
HOPS = "x-oruel-hops"


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call. `parameters` is a JSON Schema of an object; `strict`: all of it holds."""

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
    """Whether functions are called; `names` are those that may be, all declared ones unless one was named."""

    mode: ToolMode = "none"
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """All but the type belongs to json_schema; `name` and `description` are for servers that show them to a model."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    schema: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False
    name: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of the conversation; `developer` has become `system`, text parts have been joined.

    `tool_calls` are an assistant's; a tool's message answers the call `tool_call_id` of the function `name`.
    """

    role: Role
    content: str
    name: str | None = None
    reasoning_content: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How one token is chosen. Each field's default makes its step inactive, except temperature 1.

    `seed` is always set (fresh entropy where the caller gave none) and signed 64-bit.
    `logprobs` is the number of alternatives to report beside each token, None for no log-probabilities.
    `reproducible`: the caller counts on getting the same again, by a seed or by leaving nothing to chance.
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
    reproducible: bool = True


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One validated request. `max_tokens` None: as many as the context leaves room for. `account`: who pays, by a name
    that betrays no key; "" where the endpoint asks for none. `hops`: other Oru'els that it came through.
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


@dataclass(frozen=True, slots=True)
class Alternative:
    """A token that the model could have chosen; `logprob` is natural, of the model's own distribution."""

    id: int
    bytes: bytes
    logprob: float


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token that was chosen, with the most probable tokens at its place, best first."""

    id: int
    bytes: bytes
    logprob: float
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of a whole request, over all its choices.

    `cached_tokens` are part of `prompt_tokens`: those that were computed already when its first choice started.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of the call `index` of its choice. `id` and `name` are set on its first, which has no arguments yet."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The beginning of an answer: the request has left the queue after `queued` seconds, and `deployment` answers it,
    which honours the parameters in `differs` differently from the contract. If that deployment fails before its first
    delta, the next one's Accepted follows.
    """

    queued: float = 0.0
    deployment: str = ""
    differs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """A part of one choice. `finish` is set once per choice, on its last delta; `usage` only on the last delta of the
    request. `model` is the model that answered, `tier` the tier that served. The delta of a choice's first token comes
    even if its text is still held back.
    """

    choice: int
    model: str
    tier: Tier
    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    finish: FinishReason | None = None
    usage: Usage | None = None


Answer = AsyncGenerator[Accepted | Delta, None]
"""Begins with an Accepted; deltas follow."""
