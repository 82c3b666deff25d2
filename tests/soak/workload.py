"""The random plans of a worker, which depend only on the run's seed, the worker's number and the answers."""

import json
import math
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import httpx2

from tests.soak.mistakes import add_mistake
from tests.soak.plan import CHAT, Leaving, Plan
from tests.soak.prompts import Prompts
from tests.soak.values import LONGEST_USUAL_ANSWER, parameters

MISTAKE_SHARE = 0.15
LEAVING_SHARE = 0.15
DEADLINE_SHARE = 0.03


@dataclass(frozen=True)
class ServedModel:
    """`names` are those that a request may use, `name` is the one in answers. Sizes are in tokens."""

    name: str
    names: tuple[str, ...]
    window: int
    vocabulary: int


async def served_model(client: httpx2.AsyncClient) -> ServedModel:
    models = (await client.get("/v1/models", timeout=10)).json()["data"]
    names = tuple(model["id"] for model in models)
    return ServedModel(models[0]["root"], names, models[0]["context_length"], models[0]["vocabulary_size"])


class Workload:
    def __init__(self, run_seed: int, worker: int, model: ServedModel) -> None:
        self._name = f"soak-{run_seed}-{worker}"
        self._random = Random(self._name)
        self._prompts = Prompts(run_seed, self._random, model.window)
        self._model = model
        self._count = 0

    def next(self) -> Plan:
        self._count += 1
        random = self._random
        plan = self._valid_plan()
        if random.random() < MISTAKE_SHARE:
            return add_mistake(plan, random, self._model.window)
        if plan.max_tokens is None or plan.max_tokens > LONGEST_USUAL_ANSWER:
            plan = with_deadline(plan, random.uniform(1, 20))
        elif random.random() < DEADLINE_SHARE:
            plan = with_deadline(plan, random.uniform(0.05, 2))
        if random.random() < LEAVING_SHARE:
            plan = replace(plan, leaving=random_leaving(random, streams=plan.streams))
        return plan

    def remember_answer(self, plan: Plan, text: str) -> None:
        self._prompts.remember_answer(plan.body["messages"], text)

    def pause(self) -> float:
        """Seconds until this worker's next request."""
        return self._random.choice((0.0, self._random.expovariate(5)))

    def _valid_plan(self) -> Plan:
        body = {
            "model": self._random.choice(self._model.names),
            "messages": self._prompts.next(),
            **parameters(self._random, self._model.vocabulary),
        }
        # A token is at least one byte, so a body with fewer bytes than the window always fits.
        tolerated = ("context_length_exceeded",) if len(json.dumps(body)) > self._model.window else ()
        path = self._random.choice((CHAT, "/v1/inference/chat/completions"))
        return Plan(f"{self._name}-{self._count}", body, path, tolerated=tolerated)


def with_deadline(plan: Plan, seconds: float) -> Plan:
    """Adds a deadline, so that an answer as long as the context window doesn't hold up the run."""
    return replace(plan, headers={"x-request-timeout": f"{seconds:.3f}"}, deadline_seconds=round(seconds, 3))


def random_leaving(random: Random, *, streams: bool) -> Leaving:
    """Disconnects after a millisecond, before the first byte, to some seconds, or after some stream events."""
    seconds = math.exp(random.uniform(math.log(0.001), math.log(3)))
    return Leaving(30, random.randint(1, 20)) if streams and random.random() < 0.6 else Leaving(seconds)


def probe_bodies(run_seed: int, model: ServedModel) -> list[dict[str, Any]]:
    """Bodies that are first answered without other load, and whose texts must never change."""
    shared = Prompts(run_seed, Random(run_seed), model.window)
    asked = {"model": model.name, "messages": [{"role": "user", "content": "Tell me a joke about the sea."}]}
    long = {"role": "system", "content": " ".join(str(number) for number in range(model.window // 8))}
    return [
        {**asked, "temperature": 0, "max_tokens": 40},
        {**asked, "seed": 1, "temperature": 1.3, "max_tokens": 60, "n": 3},
        {**asked, "seed": 2, "temperature": 1, "max_tokens": 80, "repetition_penalty": 1.2, "top_k": 50},
        {**asked, "messages": [long, *asked["messages"]], "seed": 3, "temperature": 1.5, "max_tokens": 60},
        {**asked, "messages": shared.next(), "top_k": 1, "max_tokens": 30, "logprobs": True, "top_logprobs": 3},
    ]
