"""Deltas to the chunks of a stream."""

import time
from collections.abc import Iterator

from msgspec import UNSET

from oruel.api.chat.body import ChatCall
from oruel.api.chat.completion import (
    ChatCompletionChunk,
    ChunkChoice,
    ChunkDelta,
    choice_logprobs,
    chunk_call,
    usage_body,
)
from oruel.api.chat.trace import trace_entries
from oruel.types import Delta


class Chunks:
    """The chunks of one answer. Each choice's first carries its role, its last its finish_reason; then the usage."""

    def __init__(self, call: ChatCall, fingerprint: str | None) -> None:
        self._call = call
        self._fingerprint = fingerprint
        self._created = int(time.time())
        self._begun: set[int] = set()

    def of(self, delta: Delta) -> Iterator[ChatCompletionChunk]:
        if delta.choice not in self._begun:
            self._begun.add(delta.choice)
            yield self._chunk(delta, ChunkChoice(delta.choice, ChunkDelta(role="assistant", content="")))
        choices = list(self._choices(delta))
        if delta.trace:
            choices = choices or [ChunkChoice(delta.choice, ChunkDelta())]
            choices[0].trace = trace_entries(delta.trace)
        for choice in choices:
            yield self._chunk(delta, choice)
        if delta.finish:
            yield self._finish(delta)
        if delta.usage and self._call.include_usage:
            yield self._chunk(delta, usage=True)

    def _choices(self, delta: Delta) -> Iterator[ChunkChoice]:
        if delta.reasoning:
            yield ChunkChoice(delta.choice, ChunkDelta(reasoning_content=delta.reasoning))
        if delta.text or delta.logprobs:
            yield self._content(delta)
        if delta.tool_calls:
            yield ChunkChoice(delta.choice, ChunkDelta(tool_calls=[chunk_call(piece) for piece in delta.tool_calls]))

    def _content(self, delta: Delta) -> ChunkChoice:
        wanted = self._call.request.sampling.logprobs is not None
        logprobs = choice_logprobs(delta.logprobs) if wanted else None
        return ChunkChoice(delta.choice, ChunkDelta(content=delta.text), logprobs)

    def _finish(self, delta: Delta) -> ChatCompletionChunk:
        last = ChunkChoice(delta.choice, ChunkDelta(), finish_reason=delta.finish)
        return self._chunk(delta, last, usage=not self._call.include_usage)

    def _chunk(self, delta: Delta, *choices: ChunkChoice, usage: bool = False) -> ChatCompletionChunk:
        absent = None if self._call.include_usage else UNSET
        return ChatCompletionChunk(
            id=self._call.request.id,
            created=self._created,
            model=delta.model,
            tier=delta.tier,
            system_fingerprint=self._fingerprint,
            choices=list(choices),
            usage=usage_body(delta.usage) if usage and delta.usage else absent,
        )
