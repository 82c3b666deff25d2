"""A check: one question about one parameter, with an oracle that can fail."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from oruel.verify.probe import Probe
from oruel.verify.verdict import Verdict

Severity = Literal["contract", "protocol"]


@dataclass(frozen=True, slots=True)
class Check:
    """`parameter` groups checks in the report. `question` is what it asks, `method` how it finds out (--explain).
    `tokens` estimates the tokens, prompt and completion, that it usually spends. `requires` names facts that the survey
    must have found, such as "logprobs"; without one, the check can't tell.
    """

    name: str
    parameter: str
    question: str
    method: str
    tokens: int
    run: Callable[[Probe], Awaitable[Verdict]]
    requires: tuple[str, ...] = ()
