"""A scale for penalties: pairs of tokens on a balance, and rows of them in which penalties add up."""

from dataclasses import dataclass
from typing import Any

from oruel.verify.balance import Balance, Pair, find_rivals, find_successor
from oruel.verify.probe import Probe
from oruel.verify.verdict import Exchange

# Penalties are measured to within this, in nats: the balance's precision, and arithmetic that depends on the batch.
TOLERANCE = 0.4
ADDITIVE_BIAS = 50.0
# The row of tokens in which penalties that count add up.
ROW = 8


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


async def find_scale(probe: Probe) -> Scale | None:
    rivals = await find_rivals(probe)
    if rivals is None:
        return None
    successor = await find_successor(probe, rivals.weighed) if probe.facts.top_logprobs else None
    pair = successor or rivals
    plain = await Balance(probe, pair, bias=ADDITIVE_BIAS).weigh(2)
    raw = plain.penalty is not None and abs(plain.penalty) <= TOLERANCE
    if raw and plain.position == 0:
        raw = abs(await default_penalty(probe, rivals)) <= TOLERANCE
    return Scale(probe, rivals, pair, raw)


async def default_penalty(probe: Probe, rivals: Pair, bias: float = ADDITIVE_BIAS) -> float:
    """What is taken from a token that came before, in nats, though no penalty is sent. 0 if it can't be told."""
    for pair, row in rows_that_repeat(rivals):
        weight = await Balance(probe, pair, bias=bias).weigh(row)
        if weight.position and not weight.clipped and weight.penalty is not None:
            return weight.penalty
    return 0.0


def rows_that_repeat(rivals: Pair) -> list[tuple[Pair, int]]:
    """Both ways round: a token that trails at the start loses there already, where nothing came before."""
    turned = Pair(rivals.other, rivals.weighed)
    return [(pair, row) for row in (2, ROW) for pair in (rivals, turned)]
