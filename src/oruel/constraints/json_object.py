"""JSON mode: the answer is one JSON object, completed within any budget."""

import llguidance
import numpy as np
from numpy.typing import NDArray

from oruel.constraints.bounds import ParserBounds
from oruel.constraints.json_text import MAX_GROWTH, JsonTracker
from oruel.constraints.tokens import TokenTable
from oruel.sampling.constraint import WorkBudget

# At most a space, or a newline and indentation, between two JSON tokens, so that no model loops on whitespace.
WHITESPACE = r"( |\n[ \t]{0,40})?"
GRAMMAR = llguidance.LLMatcher.grammar_from_json_schema(
    {"type": "object"}, overrides={"whitespace_pattern": WHITESPACE}
)


class JsonObjectConstraint:
    """Constrains one sequence of at most `budget` tokens. If the budget is enough for the shortest object, there are
    always enough tokens left to complete the object, one per byte. When that is about to change, or when the text would
    exceed what parsers can read, the completion is generated.
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
        """The rest of the completion, once it has begun."""
        return [self._tokens.single[byte] for byte in self._text.closing] if self.is_closing else []

    def mask(self) -> NDArray[np.uint8]:
        """A bit for each token, the lowest bit of a byte first: whether the token may come next."""
        return np.frombuffer(self._matcher.compute_bitmask(), np.uint8)

    def allows(self, token: int) -> bool:
        """Whether the token's text may come next. The mask can be narrower: for forced text it has only the usual
        tokens.
        """
        return bool(self._matcher.validate_tokens([token]))

    def enforce_limits(self, token: int, work: WorkBudget | None = None) -> int:
        """The token itself if the object can still be completed after it; otherwise the first token of the
        completion.
        """
        closing = self._text.closing
        if len(closing) > self._left:
            return token
        piece = self._tokens.pieces[token]
        if self._bounds.allow(piece):
            if len(closing) + MAX_GROWTH * len(piece) < self._left:
                return token
            after = self._text.copy()
            after.feed(piece)
            if len(after.closing) < self._left:
                return token
        self.is_closing = True
        return self._tokens.single[closing[0]]

    def accept(self, token: int) -> None:
        """`token` comes from `enforce_limits` or `forced`."""
        self._left -= 1
        piece = self._tokens.pieces[token]
        self._text.feed(piece)
        self._bounds.feed(piece)
        if not self.is_closing:
            consumed = self._matcher.consume_token(token)
            assert consumed, self._matcher.get_error()
