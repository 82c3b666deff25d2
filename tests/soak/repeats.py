"""Checks that the same request gets the same text: remembers the answers to seeded and greedy requests."""

import json
from collections.abc import Mapping
from random import Random
from typing import Any

from tests.soak.plan import Plan
from tests.soak.shapes import Completion
from tests.soak.wrong import require

MAX_REMEMBERED = 200
LONGEST_REMEMBERED = 300

# Fields that may differ between two requests that must get the same text.
DELIVERY = ("model", "stream", "stream_options", "tier")

Text = tuple[tuple[str, str], ...]


class Repeats:
    """`compared` counts the answers that were compared with an earlier one, `differed` those that differed."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._texts: dict[str, Text] = {}
        self._bodies: list[dict[str, Any]] = []
        self.compared = 0
        self.differed = 0

    def check(self, plan: Plan, answer: Completion) -> None:
        """Raises CheckFailed if the text differs from the first answer."""
        key = json.dumps(without_delivery(plan.body), sort_keys=True)
        text = tuple((choice.message.content, choice.finish_reason) for choice in answer.choices)
        if key in self._texts:
            self.compared += 1
            self.differed += text != self._texts[key]
            require(
                text == self._texts[key], f"the text differs from the first answer: {text}, first {self._texts[key]}"
            )
        elif len(self._bodies) < MAX_REMEMBERED and answer.usage.completion_tokens <= LONGEST_REMEMBERED:
            self._texts[key] = text
            self._bodies.append(without_delivery(plan.body) | {"model": plan.body["model"]})

    def again(self) -> dict[str, Any]:
        """A body that was answered before, with a random way of delivery. Requires at least one answer."""
        body = dict(self._random.choice(self._bodies))
        if self._random.random() < 0.5:
            body["stream"] = True
        return body | {"tier": self._random.choice(("standard", "turbo"))}


def without_delivery(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in DELIVERY}
