"""The shapes of answers: OpenAI's, with `tier` beside `model`."""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from oruel.api.chat.trace import TraceEntry, trace_entries
from oruel.ledger.money import to_units, usd_text
from oruel.types import Alternative, Delta, FinishReason, SamplingParams, Tier, TokenLogprob, ToolCallDelta, Usage

# OpenAI's number for a probability too small to state; JSON has no infinity.
LOWEST_LOGPROB = -9999.0


class TopLogprob(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int]


class ContentLogprob(msgspec.Struct):
    """`token` is `bytes` as text; `logprob` is natural, of the model's own distribution."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]


class ChoiceLogprobs(msgspec.Struct):
    content: list[ContentLogprob]
    refusal: None = None


class CachedTokens(msgspec.Struct):
    cached_tokens: int


class UsageBody(msgspec.Struct):
    """`cost` is the price of the request in USD, a decimal; absent without a ledger."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedTokens
    cost: str | UnsetType = UNSET


class FunctionCall(msgspec.Struct):
    name: str
    arguments: str


class AnswerCall(msgspec.Struct, kw_only=True):
    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class AnswerMessage(msgspec.Struct, kw_only=True):
    """`content` is null in an answer that is nothing but calls. `annotations` are OpenAI's, of which there are none."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    annotations: list[dict[str, Any]] = []
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[AnswerCall] | UnsetType = UNSET


class AnswerChoice(msgspec.Struct):
    index: int
    message: AnswerMessage
    logprobs: ChoiceLogprobs | None
    finish_reason: FinishReason
    trace: list[TraceEntry] | UnsetType = UNSET


class ChatCompletion(msgspec.Struct, kw_only=True):
    """`model` is the model that answered, `tier` the tier that served."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    tier: Tier
    system_fingerprint: str | None
    choices: list[AnswerChoice]
    usage: UsageBody


class ChunkFunction(msgspec.Struct):
    arguments: str
    name: str | UnsetType = UNSET


class ChunkCall(msgspec.Struct):
    """`id`, `type` and the function's name come with the first of a call."""

    index: int
    function: ChunkFunction
    id: str | UnsetType = UNSET
    type: Literal["function"] | UnsetType = UNSET


class ChunkDelta(msgspec.Struct):
    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[ChunkCall] | UnsetType = UNSET


class ChunkChoice(msgspec.Struct):
    index: int
    delta: ChunkDelta
    logprobs: ChoiceLogprobs | None = None
    finish_reason: FinishReason | None = None
    trace: list[TraceEntry] | UnsetType = UNSET


class ChatCompletionChunk(msgspec.Struct, kw_only=True):
    """`usage` is absent, null or set, as stream_options.include_usage asks."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    tier: Tier
    system_fingerprint: str | None
    choices: list[ChunkChoice]
    usage: UsageBody | UnsetType | None = UNSET


def usage_body(usage: Usage) -> UsageBody:
    return UsageBody(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
        prompt_tokens_details=CachedTokens(usage.cached_tokens),
        cost=UNSET if usage.cost is None else usd_text(to_units(usage.cost)),
    )


def choice_logprobs(tokens: Iterable[TokenLogprob]) -> ChoiceLogprobs:
    return ChoiceLogprobs([content_logprob(token) for token in tokens])


def content_logprob(token: TokenLogprob) -> ContentLogprob:
    own = top_logprob(token)
    return ContentLogprob(own.token, own.logprob, own.bytes, [top_logprob(other) for other in token.alternatives])


def top_logprob(token: TokenLogprob | Alternative) -> TopLogprob:
    return TopLogprob(token.bytes.decode(errors="replace"), max(token.logprob, LOWEST_LOGPROB), list(token.bytes))


def answer_message(deltas: list[Delta]) -> AnswerMessage:
    calls = joined_calls(piece for delta in deltas for piece in delta.tool_calls)
    content = "".join(delta.text for delta in deltas)
    reasoning = "".join(delta.reasoning for delta in deltas)
    return AnswerMessage(
        content=None if calls and not content else content,
        reasoning_content=reasoning or UNSET,
        tool_calls=calls or UNSET,
    )


def joined_calls(pieces: Iterable[ToolCallDelta]) -> list[AnswerCall]:
    calls: list[AnswerCall] = []
    for piece in pieces:
        if piece.name:
            calls.append(AnswerCall(id=piece.id, function=FunctionCall(piece.name, "")))
        calls[piece.index].function.arguments += piece.arguments
    return calls


def chunk_call(piece: ToolCallDelta) -> ChunkCall:
    if not piece.name:
        return ChunkCall(piece.index, ChunkFunction(piece.arguments))
    return ChunkCall(piece.index, ChunkFunction(piece.arguments, piece.name), piece.id, "function")


def answer_choice(index: int, deltas: list[Delta], params: SamplingParams) -> AnswerChoice:
    """One choice of an unstreamed answer, from all its deltas; the last of them carries `finish`."""
    finish = deltas[-1].finish
    assert finish is not None, "a choice ends with the delta that carries its finish"
    tokens = [token for delta in deltas for token in delta.logprobs]
    return AnswerChoice(
        index=index,
        message=answer_message(deltas),
        logprobs=None if params.logprobs is None else choice_logprobs(tokens),
        finish_reason=finish,
        trace=UNSET if params.trace is None else trace_entries(token for delta in deltas for token in delta.trace),
    )
