"""Both endpoints of a comparison, asked the same. The words of models that think are compared from the first thought
on, if both endpoints show them; otherwise their texts are, which need room after the thoughts.
"""

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

    @property
    def shows_all(self) -> bool:
        """Whether all that the models write is seen, from the same point on."""
        ours, theirs = self.probe.facts, self.other.facts
        return ours.reasons == theirs.reasons and not (ours.hides_thoughts or theirs.hides_thoughts)

    def words_of(self, reply: Reply) -> str:
        """What is compared of an answer. Servers keep or drop white space around thoughts."""
        return reply.whole_text.lstrip() if self.shows_all and reply.thoughts else reply.text

    async def ask(self, ours: Sequence[Json], theirs: Sequence[Json]) -> tuple[list[Reply], list[Reply]]:
        """Sends both lists at the same time, with room for thoughts that aren't compared."""
        answers = await asyncio.gather(
            self.probe.endpoint.chats([self.with_room(one, self.probe.facts.reasons) for one in ours]),
            self.other.endpoint.chats([self.with_room(one, self.other.facts.reasons) for one in theirs]),
        )
        return answers[0], answers[1]

    async def ask_both(self, requests: Sequence[Json]) -> tuple[list[Reply], list[Reply]]:
        return await self.ask(requests, requests)

    def with_room(self, request: Json, reasons: bool) -> Json:
        more = THINKING if reasons and not self.shows_all else 0
        return request | {"max_tokens": request["max_tokens"] + more}

    def exchanges(self, ours: Reply, theirs: Reply) -> tuple[Exchange, Exchange]:
        return ours.exchange, replace(theirs.exchange, url=self.other.endpoint.url)

    def fresh_seed(self) -> Json:
        """A seed to send, if both take one, so that the run can be repeated."""
        return {"seed": self.probe.seed()} if "seed" in self.accepts else {}


def groups(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Consecutive items, `size` of them at a time."""
    return (items[start : start + size] for start in range(0, len(items), size))
