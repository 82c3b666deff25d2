"""The rows of Oru'el's requests: what each one's next token depends on. Knows neither vLLM nor torch.

A row is asked for its next token at each step. vLLM may discard the answer, if it has computed only a part of the
prompt, and ask again: a token counts as accepted once vLLM asks for the next position.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from oruel.engine.vllm.wire import FAILED_MARKS, Failure, FailureKind, RowRequest, ending_tokens
from oruel.sampling.draw import Uniforms
from oruel.sampling.penalties import Penalties
from oruel_vllm.row_step import BROKEN, ChangedTokens, RowStep

BROKEN_MESSAGE = (
    "The model computed logits whose largest is not finite, so no token can be chosen. The model or its quantisation "
    "is probably broken; another deployment may serve the request."
)
LOST_MESSAGE = "vLLM lost tokens of the row, so that the next one can't be chosen. Send the request again."


class Row(Protocol):
    """`mark` is the token to emit in place of BROKEN."""

    mark: int

    def next(self, position: int) -> RowStep | int:
        """How to choose the token at `position` of the output, or that token itself. The tokens before it are those
        that the row has been given or has chosen.
        """

    def enforce(self, token: int) -> int | RowStep:
        """The token to emit in place of the one that the step chose, or another step if the token is refused. Called
        for rows that are `constrained`.
        """

    def chose(self, token: Callable[[], int]) -> None:
        """Tells the row which token was emitted at the position; BROKEN is possible. `token` may have to wait."""

    @property
    def constrained(self) -> bool: ...

    def close(self) -> None:
        """The row has left the batch."""


class ScriptedRow:
    """Forces known tokens. After the last it forces `after`."""

    constrained = False

    def __init__(self, tokens: Sequence[int], after: int = 0) -> None:
        self._tokens = tokens
        self._after = after
        self.mark = after

    def next(self, position: int) -> int:
        return self._tokens[position] if position < len(self._tokens) else self._after

    def enforce(self, token: int) -> int | RowStep:
        return token

    def chose(self, token: Callable[[], int]) -> None: ...

    def close(self) -> None: ...


class SampledRow:
    """A row without a constraint. `output` are the tokens that it already has: vLLM had preempted it."""

    constrained = False

    def __init__(self, request: RowRequest, output: Sequence[int] = ()) -> None:
        self.mark = request.mark
        self._request = request
        self._uniforms = Uniforms(request.sampling.seed, request.choice)
        self._output: list[int] = []
        self._chosen: Callable[[], int] | None = None
        self._ending: ScriptedRow | None = None
        self._ending_start = 0
        self._restart(output)

    def _restart(self, output: Sequence[int]) -> None:
        """Forgets everything but the tokens of `output`."""
        params = self._request.sampling
        self._penalises = Penalties.are_active(params)
        self._changed = ChangedTokens(params.logit_bias)
        self._output = []
        self._chosen = None
        for token in output:
            self._accept(token)

    def _accept(self, token: int) -> None:
        self._output.append(token)
        if self._penalises:
            self._changed.count(token)

    def next(self, position: int) -> RowStep | int:
        self._move_to(position)
        if self._ending:
            return self._ending.next(position - self._ending_start)
        return self._step(position)

    def _step(self, position: int) -> RowStep | int:
        return self._drawn_step(position)

    def _drawn_step(self, position: int, mask: NDArray[np.uint8] | None = None, refusals: int = 0) -> RowStep:
        changed = self._changed if len(self._changed) else None
        return RowStep(self._request.sampling, self._uniforms.at(position, refusals), changed, mask)

    def _move_to(self, position: int) -> None:
        if position == len(self._output) + 1 and self._chosen:
            token, self._chosen = self._chosen(), None
            if token == BROKEN:
                # The first mark has been emitted in its place.
                self._end(position - 1, FAILED_MARKS, Failure(FailureKind.ENGINE, BROKEN_MESSAGE))
                token = self.mark
            self._accept(token)
        elif position < len(self._output):
            if position <= self._ending_start:
                self._ending = None
            self._restart(self._output[:position])
        elif position > len(self._output) and not self._ending:
            self._end(position, FAILED_MARKS, Failure(FailureKind.ENGINE, LOST_MESSAGE))

    def _end(self, start: int, marks: int, failure: Failure | None = None) -> None:
        """From position `start` on, the ending follows."""
        ends = self._request.end_tokens
        self._ending = ScriptedRow(ending_tokens(self._request, marks, failure), ends[0] if ends else self.mark)
        self._ending_start = start

    def enforce(self, token: int) -> int | RowStep:
        return token

    def chose(self, token: Callable[[], int]) -> None:
        self._chosen = token

    def close(self) -> None: ...
