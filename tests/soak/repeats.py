"""The same request gives the same text: what seeded and greedy requests were answered, to be asked again."""

import json
from collections.abc import Mapping
from random import Random
from typing import Any

from tests.soak.plan import Plan
from tests.soak.shapes import Completion
from tests.soak.wrong import hold

MOST_REMEMBERED = 200
LONGEST_REMEMBERED = 300

# What may differ between two requests that must be given the same text.
DELIVERY = ("model", "stream", "stream_options", "tier")

Text = tuple[tuple[str, str], ...]


class Repeats:
    """`compared` counts the answers that were held against an earlier one, and `differed` those that failed."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._texts: dict[str, Text] = {}
        self._bodies: list[dict[str, Any]] = []
        self.compared = 0
        self.differed = 0

    def check(self, plan: Plan, answer: Completion) -> None:
        """Raises Wrong where the text is not what it was the first time."""
        key = json.dumps(same_text(plan.body), sort_keys=True)
        text = tuple((choice.message.content, choice.finish_reason) for choice in answer.choices)
        if key in self._texts:
            self.compared += 1
            self.differed += text != self._texts[key]
            hold(text == self._texts[key], f"another text than the first time: {text}, then {self._texts[key]}")
        elif len(self._bodies) < MOST_REMEMBERED and answer.usage.completion_tokens <= LONGEST_REMEMBERED:
            self._texts[key] = text
            self._bodies.append(same_text(plan.body) | {"model": plan.body["model"]})

    def again(self) -> dict[str, Any]:
        """A body that was answered before, delivered in any way. At least one must have been."""
        body = dict(self._random.choice(self._bodies))
        if self._random.random() < 0.5:
            body["stream"] = True
        return body | {"tier": self._random.choice(("standard", "turbo"))}


def same_text(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in DELIVERY}
