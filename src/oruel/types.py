"""The shared data types: a chat request, and the deltas of its answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
Tier = Literal["standard", "turbo"]
UpstreamKind = Literal["vllm", "sglang", "llama-server", "openai", "oruel"]
ToolMode = Literal["none", "auto", "required"]


# The header that counts the Oru'el instances a request has passed through.
HOPS = "x-oruel-hops"


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call. `parameters` is a JSON Schema of type object; `strict` enforces all of it."""

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
    """Whether the model calls functions. `names` are the callable ones: all declared functions unless one was named."""

    mode: ToolMode = "none"
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """All fields but `type` are those of json_schema. `name` and `description` are only forwarded to other servers."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    schema: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False
    name: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the conversation. The role `developer` is stored as `system`; text parts are joined.

    Only assistant messages have `tool_calls`. A tool message is the result of the call `tool_call_id` of the function
    `name`.
    """

    role: Role
    content: str
    name: str | None = None
    reasoning_content: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How a token is sampled. The defaults leave the model's distribution unchanged.

    `seed` is a signed 64-bit integer, random if the caller sent none.
    `logprobs` is the number of alternatives to report per token, None for no log-probabilities.
    `reproducible`: the caller sent a seed or parameters that make sampling greedy, and expects the same answer again.
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
    """A validated request. `max_tokens` None: as many as fit in the context. `account` identifies the API key without
    revealing it; "" if no key is required. `hops`: the number of Oru'el instances that it has passed through.
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
    """A candidate for a token. `logprob` is a natural logarithm, of the model's own distribution."""

    id: int
    bytes: bytes
    logprob: float


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A sampled token, with the most probable tokens at its position, best first."""

    id: int
    bytes: bytes
    logprob: float
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of a request, over all choices.

    `cached_tokens` is the part of `prompt_tokens` that was found in the prefix cache when the first choice started.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of the call `index` of a choice. Only the first piece has `id` and `name`; it has no arguments."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of one choice. `finish` is set on the last delta of each choice, `usage` on the last delta of the
    request. `model` is the model that answered, `tier` the tier that served. The first token of a choice yields a delta
    even if its text is held back.

    Deltas with `queued` precede the answer and have no content. They report that the request left the queue after
    `queued` seconds, the `deployment` that answers, and the parameters that it honours differently, `differs`.
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
    queued: float | None = None
    deployment: str = ""
    differs: tuple[str, ...] = ()
