"""Arguments that a grammar holds alone, kept within what every common parser reads."""

from collections.abc import Sequence

import llguidance
import numpy as np
from numpy.typing import NDArray

from oruel.constraints.bounds import ParserBounds
from oruel.constraints.closing.position import DocumentPosition
from oruel.constraints.refusals import Refusals
from oruel.constraints.tokens import TokenTable
from oruel.sampling.constraint import WorkBudget


class ReadableArguments:
    """Implements Arguments."""

    def __init__(self, tokens: TokenTable) -> None:
        self._tokens = tokens

    def begin(self, matcher: llguidance.LLMatcher, written: bytes) -> "ReadableValue":
        return ReadableValue(self._tokens, written)


class ReadableValue:
    """Implements ArgumentsBeginning, and KeptValue for what follows."""

    can_go_on = True

    def __init__(self, tokens: TokenTable, written: bytes) -> None:
        self._tokens = tokens
        self._place = DocumentPosition(tokens)
        self._bounds = ParserBounds()
        self._refusals = Refusals(tokens)
        for byte in written:
            self._place.feed_byte(byte)
        self._bounds.feed(written)

    def proceed(self, work: WorkBudget) -> bool:
        return True

    def started(self) -> "ReadableValue | None":
        return None if self.has_ended else self

    @property
    def has_ended(self) -> bool:
        return self._place.has_ended

    def follows(self, taken: Sequence[int], left: int) -> bool:
        return True

    def decide(self, token: int, left: int, work: WorkBudget | None) -> int:
        return token if self._bounds.allow(self._tokens.pieces[token]) else self.refuse(token)

    def refuse(self, token: int) -> int:
        return self._refusals.refuse(token, token)

    def without_refused(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return self._refusals.mask(bits)

    def accept(self, token: int) -> bool:
        self._refusals.clear()
        self._bounds.feed(self._place.feed(token))
        return True
