"""All checks, in the order in which they run."""

from oruel.verify.check import Check
from oruel.verify.checks import (
    filters,
    length,
    logprobs,
    ranges,
    seed,
    stop,
    streaming,
    temperature,
    tools,
    unknown,
    usage,
)

CHECKS: tuple[Check, ...] = (
    *temperature.CHECKS,
    *filters.CHECKS,
    *seed.CHECKS,
    *logprobs.CHECKS,
    *ranges.CHECKS,
    *unknown.CHECKS,
    *length.CHECKS,
    *stop.CHECKS,
    *streaming.CHECKS,
    *usage.CHECKS,
    *tools.CHECKS,
)
