"""Turns the token outputs of one choice into text, log-probabilities and a finish reason. The joined pieces don't
depend on how the outputs were grouped. No piece contains any part of the stop text.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from oruel.engine.protocol import NO_TOKEN, TokenOutput
from oruel.text.answer.detokenizer import Detokenizer
from oruel.text.answer.reader import AnswerReader, Segment
from oruel.text.answer.stops import StopScanner
from oruel.types import Alternative, ChoicePiece, FinishReason, TokenLogprob, ToolCallDelta


@dataclass(frozen=True, slots=True)
class _Entry:
    """`end` is the index after the last character that contains a byte of the token."""

    logprob: TokenLogprob
    end: int


def merge(pieces: Iterable[ChoicePiece]) -> ChoicePiece:
    """Joins consecutive pieces of one choice."""
    together = list(pieces)
    if len(together) == 1:
        return together[0]
    return ChoicePiece(
        text="".join(piece.text for piece in together),
        reasoning="".join(piece.reasoning for piece in together),
        tool_calls=tuple(call for piece in together for call in piece.tool_calls),
        logprobs=tuple(entry for piece in together for entry in piece.logprobs),
        finish=next((piece.finish for piece in together if piece.finish), None),
    )


class ChoiceText:
    """`piece` returns the bytes of a token, empty for control tokens. `top` is the number of alternatives to report per
    token, None for no log-probabilities. `reader` separates reasoning and calls from content; without a reader,
    everything is content. Stop sequences match content only.
    """

    def __init__(
        self,
        piece: Callable[[int], bytes],
        stops: tuple[str, ...] = (),
        *,
        top: int | None = None,
        reader: AnswerReader | None = None,
    ) -> None:
        self._piece = piece
        self._top = top
        # Stop sequences and log-probabilities need the boundaries of tokens; nothing else does.
        self._is_by_token = bool(stops) or top is not None
        self._detokenizer = Detokenizer()
        self._scanner = StopScanner(stops)
        self._entries: deque[_Entry] = deque()
        self._decoded = 0
        self._released = 0
        self._reader = reader
        self.finish: FinishReason | None = None
        self.tokens = 0

    def feed(self, *outputs: TokenOutput) -> ChoicePiece:
        """What these outputs release, at least one. Outputs after the end of the choice are ignored, since the engine
        may have computed ahead.
        """
        return merge(self._feed(output) for output in outputs) if self._is_by_token else self._feed(*outputs)

    def _feed(self, *outputs: TokenOutput) -> ChoicePiece:
        if self.finish is not None:
            return ChoicePiece()
        self.tokens += sum(output.token != NO_TOKEN for output in outputs)
        last = outputs[-1]
        segments = self._take(outputs)
        if last.finish is not None and self._scanner.matched is None:
            segments += self._rest(is_cut=last.finish == "length")
        text, reasoning, calls = "", "", tuple[ToolCallDelta, ...]()
        for segment in segments:
            if self._scanner.matched is None:  # nothing after a stop sequence is released
                text += self._scan(segment)
                reasoning += segment.reasoning
                calls += segment.calls
        self.finish = self._finish(last)
        if self.finish is not None:
            rest = self._scanner.finish()
            self._released += len(rest)
            text += rest
        return ChoicePiece(
            text=text, reasoning=reasoning, tool_calls=calls, logprobs=self._release(), finish=self.finish
        )

    def _finish(self, output: TokenOutput) -> FinishReason | None:
        if self._scanner.matched is not None:
            return "stop"
        if output.finish is None:
            return None
        if self._reader and self._reader.has_complete_calls:
            return "tool_calls"
        return "length" if output.finish == "length" else "stop"

    def _take(self, outputs: Sequence[TokenOutput]) -> list[Segment]:
        shown = [output for output in outputs if output.finish != "stop" and output.token != NO_TOKEN]
        if not shown:
            return []
        data = b"".join([self._piece(output.token) for output in shown])
        segments = self._read(self._detokenizer.feed(data))
        if self._top is not None:
            self._entries.append(_Entry(self._report(shown[0], data), self._decoded + self._detokenizer.pending))
        return segments

    def _rest(self, *, is_cut: bool) -> list[Segment]:
        segments = self._read(self._detokenizer.finish())
        return segments + self._reader.finish(is_cut=is_cut) if self._reader else segments

    def _read(self, text: str) -> list[Segment]:
        self._decoded += len(text)
        return self._reader.feed(text) if self._reader else [Segment(self._decoded, text)]

    def _scan(self, segment: Segment) -> str:
        """The content that is released."""
        length = self._scanner.held + len(segment.content)
        text = self._scanner.feed(segment.content)
        self._released = segment.end - (length - len(text))
        return text

    def _report(self, output: TokenOutput, data: bytes) -> TokenLogprob:
        assert output.logprob is not None, "the engine was asked for log-probabilities"
        alternatives = (
            Alternative(token, self._piece(token), value) for token, value in output.alternatives[: self._top]
        )
        return TokenLogprob(output.token, data, output.logprob, tuple(alternatives))

    def _release(self) -> tuple[TokenLogprob, ...]:
        """The entries whose text is released. An entry without text waits for the next one; at the end, for
        the stop.
        """
        ready = 0
        for count, entry in enumerate(self._entries, 1):
            if entry.end > self._released:
                break
            if entry.logprob.bytes or self.finish is not None:
                ready = count
        return tuple(self._entries.popleft().logprob for _ in range(ready))
