"""The chunks of another server's stream, read leniently and made whole: its fragments of calls, stop strings that it
left in, usage that it forgot.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from oruel.errors import UpstreamFailed
from oruel.text.stops import StopScanner
from oruel.text.tools.reader import call_id
from oruel.types import Alternative, ChatRequest, Delta, FinishReason, TokenLogprob, ToolCallDelta, Usage

FINISHES: dict[str, FinishReason] = {"length": "length", "tool_calls": "tool_calls", "function_call": "tool_calls"}
MAX_COUNT = 2**31
DONE = b"[DONE]"


class Function(msgspec.Struct):
    name: str | None = None
    arguments: Any = None


class Call(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: Function | None = None


class ChunkDelta(msgspec.Struct, frozen=True, gc=False):
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


class Choice(msgspec.Struct, frozen=True, gc=False):
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


class Chunk(msgspec.Struct, frozen=True, gc=False):
    choices: list[Choice] | None = None
    usage: Counts | None = None
    error: Any = None


NOTHING = ChunkDelta()

decode = msgspec.json.Decoder(Chunk).decode


class Said(NamedTuple):
    """What some chunks of a choice say, in the order of a Delta's fields."""

    text: str
    reasoning: str
    tool_calls: tuple[ToolCallDelta, ...]
    logprobs: tuple[TokenLogprob, ...]
    finish: FinishReason | None


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

    def read(self, chunks: Iterable[Choice]) -> Said:
        """Up to the choice's end, which may come before that of the chunks."""
        text: list[str] = []
        reasoning: list[str] = []
        calls: list[ToolCallDelta] = []
        logprobs: list[TokenLogprob] = []
        for choice in chunks:
            delta = choice.delta or NOTHING
            if delta.content:
                self.chunks += 1
                text.append(self._scanner.feed(delta.content))
            if delta.reasoning_content or delta.reasoning:
                reasoning.append(delta.reasoning_content or delta.reasoning or "")
            if delta.tool_calls:
                self.chunks += not delta.content
                calls += self._pieces(delta.tool_calls)
            if choice.logprobs is not None:
                logprobs += map(logprob_of, choice.logprobs.content or ())
            if self._scanner.matched is not None:
                self.finish = "stop"
                break
            if choice.finish_reason:
                self.finish = finish_of(choice.finish_reason)
                text.append(self._scanner.finish())
                break
        return Said("".join(text), "".join(reasoning), tuple(calls), tuple(logprobs), self.finish)

    def _pieces(self, calls: Iterable[Call]) -> Iterator[ToolCallDelta]:
        for call in calls:
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
        self._is_done = False

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to come, or nothing that counts: a server may write past a stop string."""
        return self._is_done or (self._has_ended and any(choice.has_stopped for choice in self._choices))

    def feed(self, events: list[bytes]) -> list[Delta]:
        """The events that arrived together, as one delta for each choice in turn."""
        given = groupby(self._taken(events), key=attrgetter("index"))
        deltas = [self._delta(index, chunks) for index, chunks in given if not self._choice(index).finish]
        if deltas and self._has_ended:
            # The last delta of a request carries its usage, which comes in a chunk behind it.
            self._last = deltas.pop()
        return deltas

    def finish(self) -> Delta:
        """The last delta, with the usage. Raises UpstreamFailed where a choice has no end."""
        if self._last is None:
            raise UpstreamFailed("The upstream ended its stream before the answer had ended.")
        counted = Usage(0, sum(choice.chunks for choice in self._choices))
        return replace(self._last, usage=self._usage or counted)

    @property
    def _has_ended(self) -> bool:
        return all(choice.finish for choice in self._choices)

    def _taken(self, events: list[bytes]) -> Iterator[Choice]:
        for event in events:
            if event == DONE:
                self._is_done = True
                return
            chunk = chunk_of(event)
            if chunk.usage:
                self._usage = usage_of(chunk.usage)
            yield from chunk.choices or ()

    def _choice(self, index: int) -> ChoiceReader:
        if not 0 <= index < len(self._choices):
            raise UpstreamFailed(f"The upstream sent choice {index} of {len(self._choices)}.")
        return self._choices[index]

    def _delta(self, index: int, chunks: Iterable[Choice]) -> Delta:
        said = self._choice(index).read(chunks)
        return Delta(index, self._model, self._request.tier, *said)


def chunk_of(event: bytes) -> Chunk:
    try:
        chunk = decode(event)
    except msgspec.DecodeError as error:
        raise UpstreamFailed(f"The upstream sent an event that is no chunk: {error}") from error
    if chunk.error:
        raise UpstreamFailed(f"The upstream reported an error: {str(chunk.error)[:400]}")
    return chunk


def finish_of(reason: str) -> FinishReason:
    return FINISHES.get(reason, "stop")


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
