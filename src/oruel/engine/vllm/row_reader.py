"""Turns what vLLM sends for one row into token outputs. Pure: no I/O, no clock."""

from collections.abc import Sequence

from oruel.engine.protocol import NO_TOKEN, Ending, SequenceFailed, TokenOutput
from oruel.engine.vllm.chunks import RowPiece, SampledToken, TokenChunk
from oruel.engine.vllm.wire import (
    CLOSED_MARKS,
    COMPLETE_MARKS,
    FAILED_MARKS,
    MAX_FAILURE_BYTES,
    Failure,
    FailureKind,
    RowRequest,
    WireError,
)
from oruel.errors import EngineFailed, UpstreamFailed, VLLMReplaced

# vLLM sends this in place of −∞.
LOWEST_LOGPROB = -9999.0


class RowReader:
    """Reads one row, whose outputs carry the number `sequence`. `vocabulary_size` is the width of the logits.

    `has_ended`: the last output has been returned.
    """

    def __init__(self, row: RowRequest, sequence: int, vocabulary_size: int) -> None:
        self.has_ended = False
        self._row = row
        self._sequence = sequence
        self._size = vocabulary_size
        self._top = row.sampling.logprobs
        self._ends = frozenset(row.end_tokens)
        self._count = 0
        self._marks = 0
        self._has_marks_beyond = False
        # What may be the beginning of a failure: the last of FAILED_MARKS marks, and the tokens of the seal.
        self._held: list[tuple[int, SampledToken | None]] = []
        self._failure: list[int] = []

    def feed(self, chunk: TokenChunk) -> list[TokenOutput | SequenceFailed]:
        """What the chunk adds to the answer; nothing after its end. Raises UpstreamFailed, EngineFailed."""
        found: list[TokenOutput | SequenceFailed] = []
        for piece in chunk.choices:
            if not self.has_ended:
                self._check(piece)
                found += self._read(piece)
        return found

    def _check(self, piece: RowPiece) -> None:
        tokens = piece.token_ids or []
        if piece.index != 0 or any(not 0 <= token < self._size for token in tokens):
            raise UpstreamFailed(
                "The vLLM behind this model sent tokens that its vocabulary doesn't have.",
                detail=f"choice {piece.index}, tokens {tokens[:8]}, of {self._size}",
            )
        if piece.finish_reason not in (None, "stop", "length"):
            raise UpstreamFailed(f"vLLM ended this answer early, with {piece.finish_reason[:32]!r}.")

    def _read(self, piece: RowPiece) -> list[TokenOutput | SequenceFailed]:
        tokens, found = piece.token_ids or [], list[TokenOutput | SequenceFailed]()
        sampled = self._sampled(piece, len(tokens))
        for place, token in enumerate(tokens):
            finish = piece.finish_reason if place == len(tokens) - 1 else None
            found += self._take(token, sampled[place] if sampled else None, finish)
            if self.has_ended:
                return found
        return found if tokens or piece.finish_reason is None else found + self._end_without_token()

    def _sampled(self, piece: RowPiece, count: int) -> Sequence[SampledToken]:
        if self._top is None or count == 0:
            return ()
        content = piece.logprobs.content if piece.logprobs else None
        if content is None or len(content) != count:
            raise UpstreamFailed("The vLLM behind this model sent no log-probabilities, which the request asked for.")
        return content

    def _take(self, token: int, sampled: SampledToken | None, finish: str | None) -> list[TokenOutput | SequenceFailed]:
        if self._is_failing:
            return self._take_failure(token, finish)
        if self._held:
            return self._take_sealed(token, sampled, finish)
        if token == self._row.mark:
            return self._take_mark(token, sampled, finish)
        if self._row.constraint is None:
            self._marks = 0
        elif self._marks or self._count == self._row.max_tokens:
            return self._end(self._marks)
        return self._emit(token, sampled, finish)

    def _take_mark(
        self, token: int, sampled: SampledToken | None, finish: str | None
    ) -> list[TokenOutput | SequenceFailed]:
        self._marks += 1
        if self._marks == FAILED_MARKS:
            self._held = [(token, sampled)]
            return self._end_held(finish) if finish else []
        if self._row.constraint is None:
            return self._emit(token, sampled, finish)
        return self._end(self._marks) if finish else []

    @property
    def _is_failing(self) -> bool:
        return len(self._held) == 1 + len(self._row.seal)

    def _take_sealed(
        self, token: int, sampled: SampledToken | None, finish: str | None
    ) -> list[TokenOutput | SequenceFailed]:
        """A token after FAILED_MARKS marks. Without the whole seal, they are the model's own."""
        if token == self._row.seal[len(self._held) - 1]:
            self._held.append((token, sampled))
            return self._end_held(finish) if finish else []
        if self._row.constraint is not None:
            return [self._failed()]
        follows_mark = len(self._held) == 1
        released = self._release_held()
        self._marks = FAILED_MARKS - 1 if follows_mark else 0
        return released if self.has_ended else released + self._take(token, sampled, finish)

    def _release_held(self, finish: str | None = None) -> list[TokenOutput | SequenceFailed]:
        held, self._held = self._held, []
        last = len(held) - 1
        return [
            output
            for place, (token, sampled) in enumerate(held)
            for output in self._emit(token, sampled, finish if place == last else None)
        ]

    def _end_held(self, finish: str | None) -> list[TokenOutput | SequenceFailed]:
        """vLLM stops here, perhaps within the seal. A constraint never allows a mark."""
        is_failure = self._is_failing or len(self._held) > 1 or self._row.constraint is not None
        return [self._failed()] if is_failure else self._release_held(finish)

    def _take_failure(self, token: int, finish: str | None) -> list[TokenOutput | SequenceFailed]:
        # The first token is the kind of the failure, which may be the same number as an end token.
        if self._failure and (token in self._ends or len(self._failure) > MAX_FAILURE_BYTES):
            return [self._failed()]
        self._failure.append(token)
        return [self._failed()] if finish else []

    def _emit(self, token: int, sampled: SampledToken | None, finish: str | None) -> list[TokenOutput | SequenceFailed]:
        if self._row.constraint is None and self._count == self._row.max_tokens:
            return self._take_beyond(token, finish)
        return [self._output(token, sampled, finish)]

    def _take_beyond(self, token: int, finish: str | None) -> list[TokenOutput | SequenceFailed]:
        """A token after the last that a row without a constraint may have, which the plugin chose: an end token, or a
        part of a failure that began before.
        """
        if token in self._ends and not self._has_marks_beyond:
            return self._end(0)
        if token == self._row.mark and finish is None:
            self._has_marks_beyond = True
            return []
        return [self._failed()]

    def _output(self, token: int, sampled: SampledToken | None, finish: str | None) -> TokenOutput:
        self._count += 1
        if token in self._ends:
            self.has_ended = True
            return TokenOutput(self._sequence, token, "stop")
        ending: Ending | None = None
        if finish is not None or self._is_cut_by(token):
            self.has_ended, ending = True, "length"
        if sampled is None:
            return TokenOutput(self._sequence, token, ending)
        return TokenOutput(self._sequence, token, ending, *self._logprobs(token, sampled))

    def _is_cut_by(self, token: int) -> bool:
        """Whether the answer ends with this token. After a mark, the next token says whether a failure began."""
        is_last = self._count == self._row.max_tokens
        return is_last and self._row.constraint is None and token != self._row.mark

    def _logprobs(self, token: int, sampled: SampledToken) -> tuple[float, list[tuple[int, float]]]:
        """Best first, ties to the lower id, without tokens of probability 0."""
        assert self._top is not None
        if sampled.token_id != token:
            raise UpstreamFailed("The vLLM behind this model sent the log-probabilities of another token.")
        known = {one.token_id: one.logprob for one in sampled.top_logprobs if one.logprob > LOWEST_LOGPROB}
        best = sorted(known.items(), key=lambda one: (-one[1], one[0]))
        logprob = sampled.logprob if sampled.logprob > LOWEST_LOGPROB else -float("inf")
        return logprob, [(id, value) for id, value in best if 0 <= id < self._size][: self._top]

    def _end(self, marks: int) -> list[TokenOutput | SequenceFailed]:
        endings: dict[int, Ending] = {COMPLETE_MARKS: "complete", CLOSED_MARKS: "length", 0: "length"}
        self.has_ended = True
        return [TokenOutput(self._sequence, NO_TOKEN, endings[marks])]

    def _end_without_token(self) -> list[TokenOutput | SequenceFailed]:
        if not self._held:
            return self._end(self._marks)
        ended = self._end_held(None)
        return ended if self.has_ended else ended + self._end(0)

    def _failed(self) -> SequenceFailed:
        """Raises EngineFailed, VLLMReplaced, unless the request's constraint is at fault."""
        self.has_ended = True
        try:
            failure = Failure.read(self._failure)
        except WireError as error:
            raise EngineFailed(f"The plugin in vLLM failed: {error.message}") from error
        if failure.kind == FailureKind.CHANGED:
            raise VLLMReplaced("The vLLM behind this model was restarted with other settings. Send the request again.")
        if failure.kind == FailureKind.ENGINE or self._row.constraint is None:
            raise EngineFailed(f"The plugin in vLLM failed: {failure.message}")
        return SequenceFailed(self._sequence, failure.message, self._row.constraint.param)
