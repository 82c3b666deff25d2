"""What the ledger knows of one request while it is answered."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from oruel.errors import AnswerUnread, DeadlineExceeded
from oruel.ledger.base import EntryContext
from oruel.ledger.caller import Caller
from oruel.ledger.entries import Opening, Settlement, Status
from oruel.ledger.money import to_units
from oruel.router.price import Price
from oruel.types import Accepted, ChatRequest, Delta, Prepared, Progress, Tier, Usage

log = structlog.get_logger("oruel.ledger")


@dataclass(frozen=True, slots=True)
class PriceList:
    """`prices`: what users pay, by model and tier. `costs`: what the operator pays, by deployment. 0 if absent."""

    prices: Mapping[str, Mapping[Tier, Price]]
    costs: Mapping[str, Price]

    def price(self, model: str, tier: Tier) -> Price:
        return self.prices.get(model, {}).get(tier, Price())

    def cost(self, deployment: str) -> Price:
        return self.costs.get(deployment, Price())


class Entry:
    """`model` is the model's own name. `opening` is what was reserved, None before."""

    def __init__(
        self, request: ChatRequest, caller: Caller, context: EntryContext, model: str, prices: PriceList
    ) -> None:
        self.opening: Opening | None = None
        self.is_closed = False
        self._request = request
        self._caller = caller
        self._context = context
        self._model = model
        self._prices = prices
        self._price = prices.price(model, request.tier)
        self._most = Prepared(0, 0)
        self._created = time.time_ns() // 1000
        self._accepted = Accepted()
        self._first_token: float | None = None
        self._finish: str | None = None
        self._usage: Usage | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the last delta has come."""
        return self._usage is not None

    def opening_for(self, prepared: Prepared | None) -> Opening:
        """Reserves the highest price that the answer can have; nothing if it was never prepared."""
        self._most = prepared or self._most
        prompt, completion = (prepared.prompt_tokens, self._request.n * prepared.max_tokens) if prepared else (0, 0)
        return Opening(
            id=self._request.id,
            request_id=self._context.request_id,
            account=self._caller.account,
            key=self._caller.key,
            model=self._model,
            tier=self._request.tier,
            created=self._created,
            price=to_units(self._price.highest(prompt, completion)),
            tokens=prompt + completion,
            idempotency_key=self._context.idempotency_key,
            fingerprint=self._context.fingerprint,
            replaces=self.opening is not None,
        )

    def covers(self, opening: Opening) -> bool:
        """Whether what is reserved suffices for `opening`."""
        own = self.opening
        return own is not None and opening.price <= own.price and opening.tokens <= own.tokens

    def note(self, item: Accepted | Delta) -> Accepted | Delta:
        """The same item; the last delta also carries the price."""
        if isinstance(item, Accepted):
            self._accepted = item
            return item
        if self._first_token is None:
            self._first_token = time.perf_counter()
        if item.choice == 0 and item.finish:
            self._finish = item.finish
        if item.usage is None:
            return item
        usage = self._bounded(item.usage)
        price = self._price.of(usage)
        self._usage = Usage(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, price)
        return Delta.of(item, item.choice, item.model, item.tier, self._usage)

    def settlement(self, status: Status, error: str | None = None) -> Settlement:
        """Finished requests are charged for what they used, and so are those whose client left, didn't read its answer,
        or set a deadline that passed.
        """
        progress = self._progress()
        usage = self._usage or self._bounded(progress.usage)
        is_charged = status in ("finished", "disconnect") or error in (DeadlineExceeded.code, AnswerUnread.code)
        return Settlement(
            opening=self.opening or self.opening_for(None),
            status=status,
            finish=self._finish,
            error=error,
            deployment=self._accepted.deployment or None,
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            completion_tokens=usage.completion_tokens,
            estimated=progress.estimated,
            price=to_units(self._price.of(usage) if usage.cost is None else usage.cost) if is_charged else 0,
            cost=to_units(self._prices.cost(self._accepted.deployment).of(usage)),
            queued_ms=self._accepted.queued * 1000,
            first_token_ms=None if self._first_token is None else self._since_start(self._first_token),
            total_ms=self._since_start(time.perf_counter()),
            answer=self._context.answer,
            media_type=self._context.media_type,
        )

    def _progress(self) -> Progress:
        return self._accepted.progress() if self._accepted.progress else Progress(Usage(0, 0))

    def _bounded(self, usage: Usage) -> Usage:
        """Nobody pays for more than was reserved, whatever another server reports."""
        prompt = min(usage.prompt_tokens, self._most.prompt_tokens)
        completion = min(usage.completion_tokens, self._request.n * self._most.max_tokens)
        if (prompt, completion) == (usage.prompt_tokens, usage.completion_tokens):
            return usage
        log.warning("the usage that a deployment reported is too high", deployment=self._accepted.deployment)
        return Usage(prompt, completion, min(usage.cached_tokens, prompt))

    def _since_start(self, moment: float) -> float:
        """In milliseconds."""
        return (moment - self._context.started) * 1000
