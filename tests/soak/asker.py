"""Sends one request to the server and judges the reply."""

import asyncio

import httpx2

from tests.soak.disturber import Disturber
from tests.soak.exchange import Reply, exchange
from tests.soak.judge import judge
from tests.soak.plan import Plan
from tests.soak.repeats import Repeats
from tests.soak.shapes import Completion
from tests.soak.tally import Tally
from tests.soak.wrong import CheckFailed, require

LONGEST_PAUSE_SECONDS = 3.0
SHOWN_BYTES = 600


class Asker:
    def __init__(
        self, client: httpx2.AsyncClient, model: str, disturber: Disturber, repeats: Repeats, tally: Tally
    ) -> None:
        self._client = client
        self._model = model
        self._disturber = disturber
        self._repeats = repeats
        self._tally = tally

    async def ask(self, plan: Plan) -> Completion | None:
        """Returns the answer if there is a valid one. Records failures in the tally."""
        self._tally.busy += 1
        reply = await exchange(self._client, plan)
        self._tally.busy -= 1
        try:
            return self._judge(reply)
        except CheckFailed as error:
            self._tally.fail(f"{plan.id}: {error}; sent {plan.content[:SHOWN_BYTES]!r}")
            return None
        finally:
            retry_after = float(reply.headers.get("retry-after", 0))
            await asyncio.sleep(min(retry_after, LONGEST_PAUSE_SECONDS))

    def _judge(self, reply: Reply) -> Completion | None:
        plan = reply.plan
        disturbed = self._disturber.was_disturbed(reply.sent, reply.ended)
        verdict = judge(reply, self._model, disturbed=disturbed)
        self._tally.outcomes[verdict.outcome] += 1
        answer = verdict.completion
        if answer:
            require(answer.id not in self._tally.completions, "a completion id that was used before")
            self._tally.count(plan.id, answer)
            if plan.repeats:
                self._repeats.check(plan, answer)
        return answer
