"""The next token of a constrained sequence, as a sampler chooses it."""

from collections.abc import Callable

import numpy as np

from oruel.constraints.document_or_calls import DocumentOrCalls
from oruel.constraints.grammar import GrammarConstraint
from oruel.constraints.json_object import JsonObjectConstraint
from oruel.constraints.tokens import TokenTable
from oruel.sampling.constraint import REFUSED


def next_token(
    constraint: GrammarConstraint | JsonObjectConstraint | DocumentOrCalls,
    tokens: TokenTable,
    choose: Callable[[list[int]], int],
) -> int:
    """`choose` gets the allowed tokens, again after each refusal."""
    if constraint.forced:
        return constraint.forced[0]
    token = REFUSED
    while token == REFUSED:
        bits = np.unpackbits(constraint.mask(), count=tokens.size, bitorder="little")
        token = constraint.enforce_limits(choose(np.flatnonzero(bits).tolist()))
    return token
