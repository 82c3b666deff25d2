"""Constrains calls of functions, and keeps their arguments valid where no grammar can."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from oruel.constraints.calls.arguments import Arguments, ArgumentsBeginning, KeptValue
from oruel.constraints.calls.heads import ArgumentsBegin, CallHeads
from oruel.constraints.closing.first_end import MAX_TOKENS
from oruel.constraints.closing.known import FOLLOW
from oruel.constraints.grammar import GrammarConstraint
from oruel.constraints.refusals import Refusals
from oruel.constraints.tokens import TokenTable
from oruel.errors import SchemaRefused
from oruel.sampling.constraint import UNDECIDED, WorkBudget


class CallsConstraint:
    """Adds to the grammar of calls that the arguments of each can be completed to valid ones after each token. A call
    that the budget cuts off stays as it is. `heads` find the beginnings of `arguments`.
    """

    def __init__(
        self, tokens: TokenTable, calls: GrammarConstraint, heads: CallHeads, arguments: Sequence[Arguments]
    ) -> None:
        self._tokens = tokens
        self._calls = calls
        self._heads = heads
        self._arguments = arguments
        self._value: KeptValue | None = None
        # While the arguments may begin with a token that hasn't been decided on, and for its acceptance.
        self._beginning: ArgumentsBeginning | None = None
        self._refusals = Refusals(tokens)
        # The token that was decided on last, and the arguments that begin with it.
        self._begin: tuple[int, ArgumentsBegin | None] = -1, None
        self.is_closing = False

    @property
    def is_complete(self) -> bool:
        return self._calls.is_complete

    @property
    def forced(self) -> list[int]:
        tokens = self._calls.forced
        return tokens if not self._value or self._value.follows(tokens, MAX_TOKENS) else []

    def mask(self) -> NDArray[np.uint8]:
        """A bit for each token, the lowest bit of a byte first: whether the token may come next."""
        bits = self._calls.mask()
        return self._value.without_refused(bits) if self._value else self._refusals.mask(bits)

    def allows(self, token: int) -> bool:
        return self._calls.allows(token)

    def enforce_limits(self, token: int, work: WorkBudget | None = None) -> int:
        """The token itself if valid arguments can follow; otherwise REFUSED, or after many refused tokens, one that
        leads to valid arguments. UNDECIDED if `work` doesn't suffice; then callers have to repeat the call before any
        other.
        """
        if self._value:
            decided = self._value.decide(token, MAX_TOKENS, work)
            return self._value.refuse(token) if decided == FOLLOW else decided
        begin = self._arguments_after(token)
        return self._decide_beginning(token, begin, work or WorkBudget()) if begin and begin.written else token

    def _decide_beginning(self, token: int, begin: ArgumentsBegin, work: WorkBudget) -> int:
        """Decides on a token with the end of the text before the arguments, and their beginning."""
        matcher = self._calls.matcher
        if self._beginning is None:
            matcher.consume_token(token)
            self._beginning = self._arguments[begin.number].begin(matcher, begin.written)
        if not self._beginning.proceed(work):
            return UNDECIDED
        matcher.rollback(1)
        if self._beginning.can_go_on:
            return token
        self._beginning = None
        return self._refusals.refuse(token, self._before_arguments(token, begin)[0])

    def accept(self, token: int) -> None:
        """`token` comes from `enforce_limits` or `forced`, or is an end token. Raises SchemaRefused if it takes too
        much work, or if no valid arguments can follow.
        """
        begin = None if self._value else self._arguments_after(token)
        self._refusals.clear()
        self._calls.accept(token)
        if self._value:
            if not self._value.accept(token) and not self._value.has_ended:
                raise SchemaRefused("no valid arguments begin with what was written of a call")
        elif begin:
            beginning = self._beginning or self._arguments[begin.number].begin(self._calls.matcher, begin.written)
            self._value = beginning.started()
        self._beginning = None
        self._begin = -1, None
        if self._value and self._value.has_ended:
            self._value = None
        if not self._value:
            self._heads.feed(token)

    def _arguments_after(self, token: int) -> ArgumentsBegin | None:
        """The arguments that begin in `token`, or after it."""
        if self._begin[0] != token:
            begin = self._heads.after(token)
            self._begin = token, begin if begin and self._is_in_json(token, begin) else None
        return self._begin[1]

    def _is_in_json(self, token: int, begin: ArgumentsBegin) -> bool:
        """Free text may contain the text before arguments, but unlike it, JSON can't go on with a new line."""
        new_line = self._tokens.single.get(ord("\n"))
        if new_line is None:
            return True
        way = [*self._before_arguments(token, begin), new_line]
        return self._calls.matcher.validate_tokens(way) < len(way)

    def _before_arguments(self, token: int, begin: ArgumentsBegin) -> list[int]:
        """The part of a token that precedes the arguments, as tokens."""
        before = self._tokens.pieces[token].removesuffix(begin.written)
        return (self._tokens.spell(before) if before else None) or [token]
