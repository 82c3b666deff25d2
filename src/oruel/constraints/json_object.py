"""JSON mode: the answer is one JSON object, closed in time whatever the budget."""

import llguidance
import numpy as np
from numpy.typing import NDArray

from oruel.constraints.bounds import ParserBounds
from oruel.constraints.json_text import MOST_GROWTH, JsonTracker
from oruel.constraints.tokens import TokenTable
from oruel.sampling.constraint import WorkBudget

# At most a space, or a line's end and its indentation, between two tokens of JSON: no model can spin on whitespace.
WHITESPACE = r"( |\n[ \t]{0,40})?"
GRAMMAR = llguidance.LLMatcher.grammar_from_json_schema(
    {"type": "object"}, overrides={"whitespace_pattern": WHITESPACE}
)


class JsonObjectConstraint:
    """One sequence's. It may generate `budget` tokens in all; as long as these hold the shortest object, there are
    always enough left to complete what has begun, a token for each byte. When there would not be, or what follows is
    beyond what parsers can read, that is what is generated from then on.
    """

    def __init__(self, tokens: TokenTable, budget: int) -> None:
        self._tokens = tokens
        self._left = budget
        self._text = JsonTracker()
        self._bounds = ParserBounds()
        self._matcher = tokens.matcher(GRAMMAR)
        self.is_closing = False

    @property
    def is_complete(self) -> bool:
        return self._text.is_complete

    @property
    def forced(self) -> list[int]:
        """All that is left, where the end is settled."""
        return [self._tokens.single[byte] for byte in self._text.closing] if self.is_closing else []

    def mask(self) -> NDArray[np.uint8]:
        """A bit for each token, the lowest of a byte first: whether it may come next."""
        return np.frombuffer(self._matcher.compute_bitmask(), np.uint8)

    def takes(self, token: int) -> bool:
        """Whether the token's text may come next. A mask may hold less: where text is forced, only its usual tokens."""
        return bool(self._matcher.validate_tokens([token]))

    def settle(self, token: int, work: WorkBudget | None = None) -> int:
        """The token itself, where what it begins can still be completed after it; else the first of the completion."""
        closing = self._text.closing
        if len(closing) > self._left:
            return token
        piece = self._tokens.pieces[token]
        if self._bounds.allow(piece):
            if len(closing) + MOST_GROWTH * len(piece) < self._left:
                return token
            after = self._text.copy()
            after.feed(piece)
            if len(after.closing) < self._left:
                return token
        self.is_closing = True
        return self._tokens.single[closing[0]]

    def accept(self, token: int) -> None:
        """`token` is what `settle` or `forced` gave."""
        self._left -= 1
        piece = self._tokens.pieces[token]
        self._text.feed(piece)
        self._bounds.feed(piece)
        if not self.is_closing:
            consumed = self._matcher.consume_token(token)
            assert consumed, self._matcher.get_error()
