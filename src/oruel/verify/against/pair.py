"""Both endpoints of a comparison, asked the same."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from oruel.verify.probe import NEUTRAL, THINKING, Other, Probe
from oruel.verify.reply import Json, Reply
from oruel.verify.verdict import Exchange

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Pair:
    """`probe` is of the endpoint under test, `other` the one that it is compared with."""

    probe: Probe
    other: Other

    @property
    def accepts(self) -> frozenset[str]:
        """Fields that neither refuses."""
        return self.probe.facts.accepts & self.other.facts.accepts

    @property
    def top_logprobs(self) -> int:
        """How many alternatives both report."""
        return min(self.probe.facts.top_logprobs, self.other.facts.top_logprobs)

    def neutral(self, **fields: object) -> Json:
        """`fields`, and values that switch every filter and penalty off, as far as both accept them."""
        return {name: value for name, value in NEUTRAL.items() if name in self.accepts} | fields

    async def ask(self, ours: Sequence[Json], theirs: Sequence[Json]) -> tuple[list[Reply], list[Reply]]:
        """Sends both lists at the same time. A model that thinks gets room for it."""
        answers = await asyncio.gather(
            self.probe.endpoint.chats([self.with_room(one, self.probe.facts.reasons) for one in ours]),
            self.other.endpoint.chats([self.with_room(one, self.other.facts.reasons) for one in theirs]),
        )
        return answers[0], answers[1]

    async def ask_both(self, requests: Sequence[Json]) -> tuple[list[Reply], list[Reply]]:
        return await self.ask(requests, requests)

    def with_room(self, request: Json, reasons: bool) -> Json:
        return request | {"max_tokens": request["max_tokens"] + THINKING} if reasons else request

    def exchanges(self, ours: Reply, theirs: Reply) -> tuple[Exchange, Exchange]:
        return ours.exchange, replace(theirs.exchange, url=self.other.endpoint.url)

    def fresh_seed(self) -> Json:
        """A seed to send, if both take one, so that the run can be repeated."""
        return {"seed": self.probe.seed()} if "seed" in self.accepts else {}


def groups(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Consecutive items, `size` of them at a time."""
    return (items[start : start + size] for start in range(0, len(items), size))
