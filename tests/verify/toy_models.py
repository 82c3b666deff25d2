"""Toy models without a server: their whole distributions of first tokens, what an endpoint would list of them, and
answers with log-probabilities.
"""

import math
from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from random import Random

import numpy as np

from oruel.types import Message
from oruel.verify.probe import PROMPTS, distinct, is_plain
from oruel.verify.reply import TokenInfo
from oruel.verify.statistics import Distribution
from tests.verify.toy_model import END, PIECES, State, logits_in, read_prompt, state_after

TOP = 20
# Less probable tokens never come: at a high temperature, what rounding lacks to 1 would count for more than they do.
LEAST = 1e-12


@dataclass(frozen=True)
class Position:
    """All tokens at one position, best first: ids, texts and log-probabilities."""

    ids: tuple[int, ...]
    texts: tuple[str, ...]
    logs: tuple[float, ...]

    @property
    def listed(self) -> tuple[tuple[str, float], ...]:
        return tuple(zip(self.texts[:TOP], self.logs[:TOP], strict=True))

    @cached_property
    def names(self) -> list[str]:
        """The tokens' texts, or their ids where the text doesn't tell them apart."""
        return [text if is_plain(text) else f"({id})" for id, text in zip(self.ids, self.texts, strict=True)]


@lru_cache(20_000)
def position_in(state: State) -> Position:
    logits = logits_in(state)
    logs = logits - logits.max()
    logs -= np.log(np.exp(logs).sum())
    best_first = np.argsort(-logs, kind="stable").tolist()
    texts = tuple(PIECES[id].decode(errors="replace") for id in best_first)
    return Position(tuple(best_first), texts, tuple(logs[best_first].tolist()))


@lru_cache(20_000)
def cumulative(state: State, temperature: float) -> list[float]:
    logs = position_in(state).logs
    return list(accumulate(math.exp((log - logs[0]) / temperature) for log in logs))


@dataclass(frozen=True)
class ToyModel:
    salt: int

    def whole(self, prompt: str) -> dict[str, float]:
        """The probabilities of all first tokens that ever come."""
        position = position_in(self.state(prompt, ()))
        shares = {name: math.exp(log) for name, log in zip(position.names, position.logs, strict=True)}
        return {name: p for name, p in shares.items() if p > LEAST}

    def bases(self) -> dict[str, dict[str, float]]:
        """What an endpoint that lists TOP tokens tells about the checker's prompts."""
        listed = {prompt: distinct(position_in(self.state(prompt, ())).listed) for prompt in PROMPTS}
        return {prompt: {text: math.exp(log) for text, log in top} for prompt, top in listed.items()}

    def answer(self, random: Random, prompt: str, count: int, temperature: float) -> list[TokenInfo]:
        output: list[int] = []
        tokens: list[TokenInfo] = []
        while len(output) < count and END not in output:
            state = self.state(prompt, output)
            position, heights = position_in(state), cumulative(state, temperature)
            rank = min(bisect(heights, random.random() * heights[-1]), len(heights) - 1)
            tokens.append(TokenInfo(position.texts[rank], position.logs[rank], position.listed))
            output.append(position.ids[rank])
        return tokens

    def state(self, prompt: str, output: Sequence[int]) -> State:
        return state_after(read_prompt((Message("user", prompt),), 0, self.salt), output)


class Drawing:
    """Draws tokens of a distribution. What it lacks to 1 is drawn as `rest`."""

    def __init__(self, random: Random, distribution: Distribution, rest: str = "(rest)") -> None:
        whole: Mapping[str, float] = {**distribution, rest: max(0.0, 1 - math.fsum(distribution.values()))}
        self._random, self._tokens = random, list(whole)
        self._cumulative = list(accumulate(whole.values()))

    def draw(self, count: int) -> list[str]:
        return self._random.choices(self._tokens, cum_weights=self._cumulative, k=count)
