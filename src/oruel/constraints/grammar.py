"""Text held to a grammar, and, where it is a document that has to be whole, completed before its budget runs out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from oruel.constraints.completion import Place, completion
from oruel.constraints.tokens import Tokens, refused


class Grammar:
    """One sequence's, of at most `budget` tokens. One that `closes` knows at each token how to end within the rest of
    the budget, as long as the budget holds the first such way; a token after which it wouldn't is replaced by that end.
    `leave`: the tokens that end the free text before the document, where there is such text.

    `closes` is False where the budget is too small for any end that was found.

    Raises SchemaRefused for a grammar that can't be compiled.
    """

    def __init__(self, tokens: Tokens, grammar: str, budget: int, *, closes: bool, leave: Sequence[int] = ()) -> None:
        self._tokens = tokens
        self._left = budget
        self._matcher = tokens.matcher(grammar)
        self._place = Place(tokens, leave)
        self._end: list[int] = []  # tokens from here to the grammar's end
        self._ends_after: dict[int, list[int]] = {}  # the same, after a token that was settled on
        self.is_closing = False
        end = completion(self._matcher, tokens, self._place, budget) if closes else None
        self.closes = end is not None
        self._end = end or []

    @property
    def is_complete(self) -> bool:
        return self._matcher.is_stopped() and not self._matcher.is_error()

    @property
    def forced(self) -> list[int]:
        if self.is_closing:
            return self._end
        tokens: list[int] = self._matcher.compute_ff_tokens()
        return tokens

    def mask(self) -> NDArray[np.uint8]:
        """A bit for each token, the lowest of a byte first: whether it may come next."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        if self._matcher.is_error():
            raise refused(self._matcher)
        return bits

    def settle(self, token: int) -> int:
        """The token itself, where an end that fits follows it; else the first token of the end that is known, which is
        the model's own end token where the text is whole already.
        """
        if not self.closes or token in self._tokens.ends:
            return token
        end = self._end[1:] if self._end[:1] == [token] else self._end_after(token)
        if end is not None:
            self._ends_after = {token: end}
            return token
        if not self._end and not self._matcher.is_accepting():
            return token
        self.is_closing = True
        return self._end[0] if self._end else min(self._tokens.ends)

    def accept(self, token: int) -> None:
        """`token` is what `settle` or `forced` gave, or an end token. Raises SchemaRefused where it takes more than one
        sequence may take.
        """
        self._left -= 1
        if token in self._tokens.ends:
            return
        if not self._matcher.consume_token(token):
            raise refused(self._matcher)
        if self.closes:
            self._place.feed(token)
            self._follow(token)

    def _follow(self, token: int) -> None:
        if self._end[:1] == [token]:
            self._end = self._end[1:]
        elif token in self._ends_after:
            self._end = self._ends_after[token]
        else:
            # Forced: every end goes this way.
            self._end = completion(self._matcher, self._tokens, self._place, self._left) or []
        self._ends_after = {}

    def _end_after(self, token: int) -> list[int] | None:
        place = self._place.copy()
        place.feed(token)
        if self._matcher.try_consume_tokens([token]) != 1:
            return None
        # Inside a string, and wherever a value has only grown, what ended the text before ends it still.
        end = completion(self._matcher, self._tokens, place, self._left - 1, first=self._end)
        if end is None:
            end = completion(self._matcher, self._tokens, place, self._left - 1)
        self._matcher.rollback(1)
        return end
