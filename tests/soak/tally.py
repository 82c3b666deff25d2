"""Counts outcomes and failures, for the progress lines and the summary."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.soak.judge import Outcome
from tests.soak.shapes import Completion

MAX_SHOWN = 20


@dataclass
class Tally:
    """`busy` counts the requests in progress. `answered` and `completions` are the ids of answered requests, given by
    the client and the server. All failures are counted, and the first ones are printed as they happen.
    """

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    answered: set[str] = field(default_factory=set)
    completions: set[str] = field(default_factory=set)
    failures: int = 0
    busy: int = 0

    def fail(self, failure: str) -> None:
        self.failures += 1
        if self.failures <= MAX_SHOWN:
            print(f"FAILED  {failure}", flush=True)

    def count(self, request: str, answer: Completion) -> None:
        self.answered.add(request)
        self.completions.add(answer.id)
        self.tokens["prompt"] += answer.usage.prompt_tokens
        self.tokens["cached"] += answer.usage.prompt_tokens_details.cached_tokens
        self.tokens["completion"] += answer.usage.completion_tokens

    @property
    def progress(self) -> str:
        parts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        return f"{self.busy} in progress; {parts}; {self.failures} failures"

    def summary(self) -> dict[str, Any]:
        return {"failures": self.failures, "requests": dict(self.outcomes), "tokens": dict(self.tokens)}
