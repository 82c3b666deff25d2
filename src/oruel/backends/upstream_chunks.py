"""The chunks of another server's stream, read leniently and made whole: its fragments of calls, stop strings that it
left in, usage that it forgot.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec

from oruel.errors import UpstreamFailed
from oruel.text.stops import StopScanner
from oruel.text.tools.reader import call_id
from oruel.types import Alternative, ChatRequest, Delta, FinishReason, TokenLogprob, ToolCallDelta, Usage

FINISHES: dict[str, FinishReason] = {"length": "length", "tool_calls": "tool_calls", "function_call": "tool_calls"}
MAX_COUNT = 2**31


class Function(msgspec.Struct):
    name: str | None = None
    arguments: Any = None


class Call(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: Function | None = None


class ChunkDelta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[Call] | None = None


class Logprob(msgspec.Struct):
    token: str = ""
    logprob: float = 0.0
    bytes: list[int] | None = None
    top_logprobs: list["Logprob"] | None = None


class Logprobs(msgspec.Struct):
    content: list[Logprob] | None = None


class Choice(msgspec.Struct):
    index: int = 0
    delta: ChunkDelta | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class Details(msgspec.Struct):
    cached_tokens: int | None = None


class Counts(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: Details | None = None


class Chunk(msgspec.Struct):
    choices: list[Choice] | None = None
    usage: Counts | None = None
    error: Any = None


decode = msgspec.json.Decoder(Chunk).decode


class ChoiceReader:
    """One choice of an upstream's answer."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._scanner = StopScanner(stops)
        self._calls: list[str] = []
        self.finish: FinishReason | None = None
        self.chunks = 0

    @property
    def has_stopped(self) -> bool:
        """At a stop string, behind which nothing counts."""
        return self._scanner.matched is not None

    def content(self, text: str) -> str:
        self.chunks += bool(text)
        return self._scanner.feed(text)

    def rest(self) -> str:
        return self._scanner.finish()

    def calls(self, given: list[Call]) -> Iterator[ToolCallDelta]:
        for call in given:
            self.chunks += 1
            function = call.function or Function()
            index = len(self._calls) - (call.id is None) if call.index is None else call.index
            if not 0 <= index <= len(self._calls):
                raise UpstreamFailed(f"The upstream sent a piece of call {index}, with {len(self._calls)} calls begun.")
            if index == len(self._calls):
                self._calls.append(call.id or call_id(short=False))
                yield ToolCallDelta(index, self._calls[index], function.name or "")
            if function.arguments:
                yield ToolCallDelta(index, arguments=text_of(function.arguments))


class AnswerChunks:
    """Chunks to deltas. Raises UpstreamFailed for what is no chunk, or an error in place of one."""

    def __init__(self, request: ChatRequest, model: str) -> None:
        self._request = request
        self._model = model
        self._choices = [ChoiceReader(request.stop) for _ in range(request.n)]
        self._usage: Usage | None = None
        self._last: Delta | None = None

    @property
    def has_ended(self) -> bool:
        return all(choice.finish for choice in self._choices)

    def feed(self, event: str) -> list[Delta]:
        try:
            chunk = decode(event)
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            raise UpstreamFailed(f"The upstream sent an event that is no chunk: {error}") from error
        if chunk.error:
            raise UpstreamFailed(f"The upstream reported an error: {str(chunk.error)[:400]}")
        if chunk.usage:
            self._usage = usage_of(chunk.usage)
        deltas = [delta for choice in chunk.choices or [] for delta in self._deltas(choice)]
        if deltas and self.has_ended:
            # The last delta of a request carries its usage, which comes in a chunk behind it.
            self._last = deltas.pop()
        return deltas

    @property
    def is_cut(self) -> bool:
        """Whether the answer has ended with a stop string that the other server writes past."""
        return self.has_ended and any(choice.has_stopped for choice in self._choices)

    def finish(self) -> Delta:
        """The last delta, with the usage. Raises UpstreamFailed where a choice has no end."""
        if self._last is None:
            raise UpstreamFailed("The upstream ended its stream before the answer had ended.")
        counted = Usage(0, sum(choice.chunks for choice in self._choices))
        return replace(self._last, usage=self._usage or counted)

    def _deltas(self, choice: Choice) -> Iterator[Delta]:
        if not 0 <= choice.index < len(self._choices):
            raise UpstreamFailed(f"The upstream sent choice {choice.index} of {len(self._choices)}.")
        reader = self._choices[choice.index]
        if reader.finish:
            return
        delta = choice.delta or ChunkDelta()
        text = reader.content(delta.content or "")
        if choice.finish_reason and not reader.has_stopped:
            text += reader.rest()
        reader.finish = "stop" if reader.has_stopped else finish_of(choice.finish_reason)
        yield self._delta(
            choice.index,
            text=text,
            reasoning=delta.reasoning_content or delta.reasoning or "",
            tool_calls=tuple(reader.calls(delta.tool_calls or [])),
            logprobs=tuple(map(logprob_of, (choice.logprobs and choice.logprobs.content) or [])),
            finish=reader.finish,
        )

    def _delta(self, choice: int, **fields: Any) -> Delta:
        return Delta(choice, self._model, self._request.tier, **fields)


def finish_of(reason: str | None) -> FinishReason | None:
    return FINISHES.get(reason, "stop") if reason else None


def text_of(arguments: Any) -> str:
    """Some servers send the object and not its text."""
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def usage_of(counts: Counts) -> Usage:
    """Within reason, whatever the server says."""
    cached = (counts.prompt_tokens_details and counts.prompt_tokens_details.cached_tokens) or 0
    prompt, completion = (min(max(0, count), MAX_COUNT) for count in (counts.prompt_tokens, counts.completion_tokens))
    return Usage(prompt, completion, min(max(0, cached), prompt))


def logprob_of(given: Logprob) -> TokenLogprob:
    """Other servers name no ids."""
    others = tuple(Alternative(-1, bytes_of(other), other.logprob) for other in given.top_logprobs or [])
    return TokenLogprob(-1, bytes_of(given), given.logprob, others)


def bytes_of(given: Logprob) -> bytes:
    if given.bytes is not None and all(0 <= byte < 256 for byte in given.bytes):
        return bytes(given.bytes)
    return given.token.encode(errors="replace")
