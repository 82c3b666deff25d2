"""A scale for penalties: pairs of tokens on a balance, and rows of them in which penalties add up."""

from dataclasses import dataclass
from itertools import permutations
from typing import Any

from oruel.verify.balance import Balance, Pair, find_rivals, find_successor, find_tokens
from oruel.verify.probe import Probe
from oruel.verify.verdict import Exchange

# Penalties are measured to within this, in nats: the balance's precision, and arithmetic that depends on the batch.
TOLERANCE = 0.4
ADDITIVE_BIAS = 50.0
# The row of tokens in which penalties that count add up.
ROW = 8
# Of so many tokens, two are looked for of which one takes over after the other came once.
TRIED = 4


@dataclass(frozen=True, slots=True)
class Point:
    """A measured penalty of a token that came `count` times before."""

    count: int
    penalty: float
    exchanges: tuple[Exchange, ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """`rivals` are alike, wherever they stand; `successor` is likely to take over after one token, which tells how much
    that one token is penalised. `raw`: log-probabilities are those of the model itself, and nothing is taken without a
    penalty, so that penalties can be read off; otherwise they are differences from a measurement without any.
    """

    probe: Probe
    rivals: Pair
    successor: Pair
    raw: bool

    async def point(self, pair: Pair, row: int, bias: float = ADDITIVE_BIAS, **fields: Any) -> Point | None:
        """None if the row broke where nothing had come before, or at the end of the scale."""
        balance = Balance(self.probe, pair, bias=bias)
        weight = await balance.weigh(row, **fields)
        if weight.clipped or weight.position == 0:
            return None
        if self.raw and weight.penalty is not None:
            return Point(weight.position, weight.penalty, weight.exchanges)
        plain = await balance.weigh(weight.position + 1)
        if plain.clipped or plain.position != weight.position:
            return None
        return Point(weight.position, weight.gap - plain.gap, weight.exchanges)

    async def points(self, **fields: Any) -> list[Point]:
        found = [await self.point(self.successor, 2, **fields), await self.point(self.rivals, ROW, **fields)]
        return [one for one in found if one]

    async def growth(self, row: int, enough: float, **fields: Any) -> "Growth | None":
        """The most that `fields` add to the gap of a row, over the pairs in both directions, up to `enough`. None if no
        pair can be weighed.
        """
        found: list[Growth] = []
        for pair in dict.fromkeys((self.rivals, self.rivals.turned, self.successor.turned)):
            balance = Balance(self.probe, pair, bias=ADDITIVE_BIAS)
            plain, penalised = await balance.weigh(row), await balance.weigh(row, **fields)
            if not plain.clipped and not penalised.clipped:
                found.append(Growth(penalised.gap - plain.gap, penalised.exchanges))
            if found and found[-1].nats > enough:
                break
        return max(found, key=lambda one: abs(one.nats), default=None)


@dataclass(frozen=True, slots=True)
class Growth:
    nats: float
    exchanges: tuple[Exchange, ...]


async def find_scale(probe: Probe) -> Scale | None:
    rivals = await find_rivals(probe)
    if rivals is None:
        return None
    successor = await find_successor(probe, rivals.weighed) if probe.facts.top_logprobs else None
    pair = successor or await find_breaking(probe) or rivals
    plain = await Balance(probe, pair, bias=ADDITIVE_BIAS).weigh(2)
    raw = plain.penalty is not None and abs(plain.penalty) <= TOLERANCE
    if raw and plain.position == 0:
        raw = abs(await default_penalty(probe, rivals)) <= TOLERANCE
    return Scale(probe, rivals, pair, raw)


async def find_breaking(probe: Probe) -> Pair | None:
    """A pair whose row breaks after the first token even without a penalty, where the ids of likely successors aren't
    known: of two tokens, the one that the model prefers at the beginning often gives way after it came.
    """
    for pair in permutations(await find_tokens(probe, TRIED), 2):
        weight = await Balance(probe, Pair(*pair), bias=ADDITIVE_BIAS).weigh(2)
        if weight.position == 1 and not weight.clipped:
            return Pair(*pair)
    return None


async def default_penalty(probe: Probe, rivals: Pair, bias: float = ADDITIVE_BIAS) -> float:
    """What is taken from a token that came before, in nats, though no penalty is sent. 0 if it can't be told."""
    for pair, row in rows_that_repeat(rivals):
        weight = await Balance(probe, pair, bias=bias).weigh(row)
        if weight.position and not weight.clipped and weight.penalty is not None:
            return weight.penalty
    return 0.0


def rows_that_repeat(rivals: Pair) -> list[tuple[Pair, int]]:
    """Both ways round: a token that trails at the start loses there already, where nothing came before."""
    return [(pair, row) for row in (2, ROW) for pair in (rivals, rivals.turned)]
