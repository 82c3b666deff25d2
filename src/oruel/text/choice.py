"""Token outputs of one choice to its text, log-probabilities and finish reason. The joined pieces are the same
however the outputs were grouped; the stop text is in none of them, neither whole nor in part.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from oruel.engine.protocol import TokenOutput
from oruel.text.detokenizer import Detokenizer
from oruel.text.stops import StopScanner
from oruel.types import Alternative, FinishReason, TokenLogprob


@dataclass(frozen=True, slots=True)
class Piece:
    """What an output released; `finish` is set on the last piece of the choice."""

    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    finish: FinishReason | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    """`end` is the index after the last character that the token has a byte in."""

    logprob: TokenLogprob
    end: int


class ChoiceText:
    """`piece` gives the bytes of a token, none for control tokens; `top` is the number of alternatives to report
    beside each token, None for no log-probabilities.
    """

    def __init__(self, piece: Callable[[int], bytes], stops: tuple[str, ...] = (), *, top: int | None = None) -> None:
        self._piece = piece
        self._top = top
        self._detokenizer = Detokenizer()
        self._scanner = StopScanner(stops)
        self._entries: deque[_Entry] = deque()
        self._decoded = 0
        self._released = 0
        self.finish: FinishReason | None = None
        self.tokens = 0

    def feed(self, output: TokenOutput) -> Piece:
        """What this output releases. Outputs after the one that ended the choice are passed over: the engine may have
        run ahead.
        """
        if self.finish is not None:
            return Piece()
        self.tokens += 1
        text = "" if output.finish == "stop" else self._take(output)
        if output.finish is not None and self._scanner.matched is None:
            text += self._scan(self._detokenizer.finish())
        self.finish = "stop" if self._scanner.matched is not None or output.finish == "complete" else output.finish
        if self.finish is not None:
            text += self._scanner.finish()
        self._released += len(text)
        return Piece(text, self._release(), self.finish)

    def _take(self, output: TokenOutput) -> str:
        data = self._piece(output.token)
        text = self._scan(self._detokenizer.feed(data))
        if self._top is not None:
            self._entries.append(_Entry(self._report(output, data), self._decoded + self._detokenizer.pending))
        return text

    def _scan(self, text: str) -> str:
        self._decoded += len(text)
        return self._scanner.feed(text)

    def _report(self, output: TokenOutput, data: bytes) -> TokenLogprob:
        assert output.logprob is not None, "the engine was asked for log-probabilities"
        alternatives = (
            Alternative(token, self._piece(token), value) for token, value in output.alternatives[: self._top]
        )
        return TokenLogprob(output.token, data, output.logprob, tuple(alternatives))

    def _release(self) -> tuple[TokenLogprob, ...]:
        """The entries whose text is out. One without text goes with the next; at the end, if it precedes the stop."""
        ready = 0
        for count, entry in enumerate(self._entries, 1):
            if entry.end > self._released:
                break
            if entry.logprob.bytes or self.finish is not None:
                ready = count
        return tuple(self._entries.popleft().logprob for _ in range(ready))
