"""A ledger and keys in memory, for tests of the API."""

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from decimal import Decimal

from oruel.ledger.base import EntryContext
from oruel.ledger.caller import Caller
from oruel.ledger.entries import NOT_LIMITED, Opened
from oruel.types import Answer, ChatRequest, Delta, MeteredAnswer, Prepared


@dataclass
class FakeLedger:
    """Opens every request with `opened`, and prices it at `cost`. `settled` are the contexts of complete answers."""

    opened: Opened = NOT_LIMITED
    cost: Decimal = Decimal("0.00042")
    callers: list[Caller] = field(default_factory=list)
    contexts: list[EntryContext] = field(default_factory=list)
    settled: list[EntryContext] = field(default_factory=list)

    async def meter(self, request: ChatRequest, caller: Caller, answer: Answer, context: EntryContext) -> MeteredAnswer:
        self.callers.append(caller)
        self.contexts.append(context)
        async with aclosing(answer):
            async for item in answer:
                match item:
                    case Prepared():
                        context.opened = self.opened
                        if self.opened.refusal:
                            raise self.opened.refusal
                        if self.opened.replay:
                            return
                    case Delta(usage=usage) if usage:
                        yield replace(item, usage=replace(usage, cost=self.cost))
                    case _:
                        yield item
        self.settled.append(context)


@dataclass
class FakeKeys:
    """`has_keys` stays true when the last one is revoked."""

    callers: Mapping[str, Caller]
    has_keys: bool = True

    def find(self, key: str) -> Caller | None:
        return self.callers.get(key)
