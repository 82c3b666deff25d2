"""Parses the chunks of another server's stream leniently and repairs them: assembles fragments of calls, cuts the text
at stop strings that the server missed, and counts usage that it didn't report.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from typing import Any

import msgspec

from oruel.backends.prompt_bound import likely_prompt_tokens
from oruel.backends.upstream_calls import CallAssembler, CallFragment
from oruel.errors import UpstreamFailed
from oruel.text.answer.stops import StopScanner
from oruel.types import (
    Alternative,
    ChatRequest,
    ChoicePiece,
    Delta,
    FinishReason,
    Progress,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)

DONE = b"[DONE]"
MAX_COUNT = 2**31
# Per answer: twice the length of 131,072 typical tokens, for each of 8 choices.
MAX_CHARACTERS = 2**23
# Per choice: twice the maximum number of tokens.
MAX_PIECES = 2**18


class UpstreamDelta(msgspec.Struct, frozen=True, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[CallFragment] | None = None


class UpstreamLogprob(msgspec.Struct):
    token: str = ""
    logprob: float = 0.0
    bytes: list[int] | None = None
    top_logprobs: list["UpstreamLogprob"] | None = None


class UpstreamLogprobs(msgspec.Struct):
    content: list[UpstreamLogprob] | None = None


class UpstreamChoice(msgspec.Struct, frozen=True, gc=False):
    index: int = 0
    delta: UpstreamDelta | None = None
    finish_reason: str | None = None
    logprobs: UpstreamLogprobs | None = None


class PromptTokensDetails(msgspec.Struct):
    cached_tokens: Any = 0


class UpstreamUsage(msgspec.Struct):
    prompt_tokens: Any = 0
    completion_tokens: Any = 0
    prompt_tokens_details: PromptTokensDetails | None = None


class LlamaTimings(msgspec.Struct):
    """Usage as llama.cpp's server reports it: cached and computed tokens of the prompt, tokens generated so far."""

    cache_n: Any = 0
    prompt_n: Any = 0
    predicted_n: Any = 0


class UpstreamChunk(msgspec.Struct, frozen=True, gc=False):
    choices: list[UpstreamChoice] | None = None
    usage: UpstreamUsage | None = None
    timings: LlamaTimings | None = None
    error: Any = None


NOTHING = UpstreamDelta()

decode = msgspec.json.Decoder(UpstreamChunk).decode


class ChoiceReader:
    """One choice of an upstream's answer."""

    def __init__(self, request: ChatRequest) -> None:
        self._scanner = StopScanner(request.stop)
        self._calls = CallAssembler(frozenset(tool.name for tool in request.tools))
        self._alternatives = request.sampling.logprobs
        self.finish: FinishReason | None = None
        # As reported with the last chunk. Without reports, each chunk with content counts as one token.
        self.used: Usage | None = None
        self._chunks = 0

    @property
    def completion_tokens(self) -> int:
        return self.used.completion_tokens if self.used else self._chunks

    @property
    def is_estimated(self) -> bool:
        """Whether the server has sent content but no usage."""
        return self._chunks > 0 and self.used is None

    @property
    def has_stopped(self) -> bool:
        """Whether a stop string ended the choice; what follows it is ignored."""
        return self._scanner.matched is not None

    def read(self, chunks: Iterable[UpstreamChoice]) -> ChoicePiece:
        """Ignores the chunks after the end of the choice."""
        text: list[str] = []
        reasoning: list[str] = []
        calls: list[ToolCallDelta] = []
        logprobs: list[TokenLogprob] = []
        for choice in chunks:
            delta = choice.delta or NOTHING
            if content := delta.content or delta.refusal:
                text.append(self._scanner.feed(content))
            if thought := delta.reasoning_content or delta.reasoning:
                reasoning.append(thought)
            if delta.tool_calls:
                calls += self._calls.feed(delta.tool_calls)
            self._chunks += bool(content or thought or delta.tool_calls)
            if choice.logprobs is not None and self._alternatives is not None:
                logprobs += [build_logprob(one, self._alternatives) for one in logprob_entries(choice, content or "")]
            if self._scanner.matched is not None:
                self.finish = "stop"
                break
            if choice.finish_reason:
                text.append(self._scanner.finish())
                calls += self._calls.finish()
                self.finish = parse_finish(choice.finish_reason, has_calls=self._calls.has_calls)
                break
        return ChoicePiece(
            text="".join(text),
            reasoning="".join(reasoning),
            tool_calls=tuple(calls),
            logprobs=tuple(logprobs),
            finish=self.finish,
        )


class ChunkReader:
    """Converts chunks into deltas. Raises UpstreamFailed for invalid chunks and for reported errors."""

    def __init__(self, request: ChatRequest, model: str) -> None:
        self.has_begun = False
        self._request = request
        self._model = model
        self._choices = [ChoiceReader(request) for _ in range(request.n)]
        self._totals: list[Usage] = []
        self._last: Delta | None = None
        self._is_done = False
        self._size = AnswerSize(request)

    @property
    def has_ended(self) -> bool:
        """Whether every choice has ended; the usage may still follow."""
        return all(choice.finish for choice in self._choices)

    @property
    def is_over(self) -> bool:
        """Whether the rest of the stream can be ignored: a server may continue after a stop string."""
        return self._is_done or (self.has_ended and any(choice.has_stopped for choice in self._choices))

    def feed(self, events: list[bytes]) -> list[Delta]:
        """Merges events that arrived together into one delta for each choice with content."""
        given = groupby(self._parse_events(events), key=attrgetter("index"))
        read = [self._delta(index, chunks) for index, chunks in given if not self._choice(index).finish]
        deltas = [delta for delta in read if not delta.is_empty]
        self._size.add(deltas)
        if deltas and self.has_ended:
            last = self._last = deltas.pop()
            if not self._is_done:
                # Usage comes in a later chunk. Hold back only the finish reason until then.
                self._last = Delta(last.choice, last.model, last.tier, finish=last.finish)
                if not (last := replace(last, finish=None)).is_empty:
                    deltas.append(last)
        self.has_begun = self.has_begun or bool(deltas)
        return deltas

    def finish(self) -> Delta:
        """The last delta, with the usage. Raises UpstreamFailed if a choice has no end."""
        if self._last is None:
            raise UpstreamFailed("The server behind this model ended its stream before the answer had ended.")
        return replace(self._last, usage=self._usage())

    def progress(self) -> Progress:
        """The usage so far. Where the server hasn't reported it, an estimate: one token for each chunk with content,
        and the likely size of the prompt once there is content.
        """
        is_reported = any(choice.used for choice in self._choices)
        is_estimated = not is_reported or any(choice.is_estimated for choice in self._choices)
        return Progress(self._usage(), estimated=is_estimated and not self._has_total)

    def _usage(self) -> Usage:
        """The usage reported so far, or at the end. If a stop string ended the answer earlier, the usage reported with
        the last chunk before the stop string.
        """
        reported = [choice.used for choice in self._choices if choice.used]
        if self._has_total:
            # Some servers report usage once per choice.
            totals = self._totals if len(self._totals) == len(self._choices) else self._totals[-1:]
            completion = sum(total.completion_tokens for total in totals)
        else:
            totals = self._totals[-1:] or reported
            completion = sum(choice.completion_tokens for choice in self._choices)
        completion = min(completion, self._most_tokens)
        if not totals:
            return Usage(likely_prompt_tokens(self._request) if completion else 0, completion)
        cached = min(total.cached_tokens for total in totals)
        return Usage(totals[-1].prompt_tokens, completion, cached)

    def _parse_events(self, events: list[bytes]) -> Iterator[UpstreamChoice]:
        for event in events:
            if event == DONE:
                self._is_done = True
                return
            chunk = parse_chunk(event)
            if (usage := parse_usage(chunk)) and (not chunk.choices or self.has_ended):
                # Keep one more report than choices: enough to tell that the server doesn't report once per choice.
                self._totals = [*self._totals[-len(self._choices) :], usage]
            for choice in chunk.choices or ():
                reader = self._choice(choice.index)
                if usage and not reader.finish:
                    reader.used = usage
                yield choice

    @property
    def _has_total(self) -> bool:
        """Whether the server has reported the usage of the whole answer."""
        return bool(self._totals) and not any(choice.has_stopped for choice in self._choices)

    @property
    def _most_tokens(self) -> int:
        """Limits the reported usage: callers never pay for more tokens than they requested."""
        return (self._request.max_tokens or MAX_COUNT) * self._request.n

    def _choice(self, index: int) -> ChoiceReader:
        if not 0 <= index < len(self._choices):
            raise UpstreamFailed(f"The server behind this model sent choice {index} of {len(self._choices)}.")
        return self._choices[index]

    def _delta(self, index: int, chunks: Iterable[UpstreamChoice]) -> Delta:
        piece = self._choice(index).read(chunks)
        return Delta.of(piece, index, self._model, self._request.tier)


class AnswerSize:
    """Limits the size of one answer, so that a server can't exhaust memory."""

    def __init__(self, request: ChatRequest) -> None:
        alternatives = request.sampling.logprobs
        # With log-probabilities, each token is sent again together with its alternatives.
        self._most_characters = MAX_CHARACTERS * (1 if alternatives is None else 2 + alternatives)
        self._most_pieces = MAX_PIECES * request.n
        self._characters = 0
        self._pieces = 0

    def add(self, deltas: Iterable[Delta]) -> None:
        """Raises UpstreamFailed if the answer is too large."""
        for delta in deltas:
            self._characters += characters_in(delta)
            self._pieces += max(1, len(delta.tool_calls), len(delta.logprobs))
        if self._characters > self._most_characters:
            raise UpstreamFailed(f"The server behind this model sent more than {self._most_characters} characters.")
        if self._pieces > self._most_pieces:
            raise UpstreamFailed(
                f"The server behind this model sent an answer in more than {self._most_pieces} pieces."
            )


def characters_in(delta: Delta) -> int:
    """Counts each byte of a token as a character."""
    calls = sum(len(piece.id) + len(piece.arguments) for piece in delta.tool_calls)
    tokens = sum(len(token.bytes) + sum(len(one.bytes) for one in token.alternatives) for token in delta.logprobs)
    return len(delta.text) + len(delta.reasoning) + calls + tokens


def parse_chunk(event: bytes) -> UpstreamChunk:
    try:
        chunk = decode(event)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamFailed(
            "The server behind this model sent an event that isn't a chunk.", detail=str(error)
        ) from error
    if chunk.error:
        raise UpstreamFailed("The server behind this model reported an error.", detail=str(chunk.error)[:400])
    return chunk


def parse_finish(reason: str, *, has_calls: bool) -> FinishReason:
    """Maps unknown reasons to "stop": some servers report the token that ended the text. If there are calls, returns
    "tool_calls" instead: OpenAI reports "stop" for a call that was required by name. Raises UpstreamFailed if the
    server aborted the answer.
    """
    match reason:
        case "length" | "content_filter":
            return reason
        case "abort" | "error":
            raise UpstreamFailed("The server behind this model aborted the answer.", detail=f"It ended with {reason}.")
        case _:
            return "tool_calls" if has_calls else "stop"


def parse_usage(chunk: UpstreamChunk) -> Usage | None:
    """Clamps the reported counts to plausible values."""
    if counts := chunk.usage:
        prompt, details = parse_count(counts.prompt_tokens), counts.prompt_tokens_details
        cached = min(parse_count(details.cached_tokens) if details else 0, prompt)
        return Usage(prompt, parse_count(counts.completion_tokens), cached)
    if timings := chunk.timings:
        cached = parse_count(timings.cache_n)
        return Usage(cached + parse_count(timings.prompt_n), parse_count(timings.predicted_n), cached)
    return None


def parse_count(given: Any) -> int:
    """Returns 0 unless `given` is a number."""
    return int(min(max(0, given), MAX_COUNT)) if isinstance(given, (int, float)) and given == given else 0


def logprob_entries(choice: UpstreamChoice, content: str) -> list[UpstreamLogprob]:
    """Removes the entry of the end token, which some servers include although it isn't part of the content."""
    entries = (choice.logprobs and choice.logprobs.content) or []
    if choice.finish_reason == "stop" and "".join(entry.token for entry in entries) != content:
        return entries[:-1]
    return entries


def build_logprob(given: UpstreamLogprob, alternatives: int) -> TokenLogprob:
    """Sets ids to -1, as other servers don't send them. Orders alternatives by probability, as vLLM begins with the
    chosen token, and drops those that weren't requested. Clamps to 0 what rounding lifted above it.
    """
    ordered = sorted(given.top_logprobs or (), key=attrgetter("logprob"), reverse=True)
    others = tuple(Alternative(-1, token_bytes(other), min(other.logprob, 0.0)) for other in ordered[:alternatives])
    return TokenLogprob(-1, token_bytes(given), min(given.logprob, 0.0), others)


def token_bytes(given: UpstreamLogprob) -> bytes:
    if given.bytes is not None and all(0 <= byte < 256 for byte in given.bytes):
        return bytes(given.bytes)
    return given.token.encode(errors="replace")
