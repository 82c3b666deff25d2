"""The nouns everyone shares: what a chat request asks for, and the deltas that answer it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length"]
Tier = Literal["standard", "turbo"]
ResponseFormat = Literal["text", "json_object"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of the conversation; `developer` has become `system`, text parts have been joined."""

    role: Role
    content: str
    name: str | None = None
    reasoning_content: str | None = None


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
    that betrays no key; "" where the endpoint asks for none.
    """

    id: str
    model: str
    messages: tuple[Message, ...]
    sampling: SamplingParams
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    tier: Tier = "standard"
    response_format: ResponseFormat = "text"
    account: str = ""
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict)


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
class Delta:
    """A piece of one choice. `finish` is set once per choice, on its last delta; `usage` only on the last
    delta of the request. `model` is the model that answered, `tier` the tier that served.

    `queued` is set on a delta that says nothing else, first of its request: after so many seconds it left the queue.
    The delta of a choice's first token comes even where its text is still held back.
    """

    choice: int
    model: str
    tier: Tier
    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    finish: FinishReason | None = None
    usage: Usage | None = None
    queued: float | None = None
