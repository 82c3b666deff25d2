"""All checks, in the order in which they run."""

from oruel.verify.check import Check
from oruel.verify.checks import (
    choices,
    filters,
    json_mode,
    length,
    logprobs,
    penalties,
    ranges,
    seed,
    stop,
    streaming,
    temperature,
    tier,
    tools,
    unknown,
    usage,
)

CHECKS: tuple[Check, ...] = (
    *temperature.CHECKS,
    *filters.CHECKS,
    *penalties.CHECKS,
    *seed.CHECKS,
    *logprobs.CHECKS,
    *ranges.CHECKS,
    *unknown.CHECKS,
    *length.CHECKS,
    *stop.CHECKS,
    *streaming.CHECKS,
    *usage.CHECKS,
    *tools.CHECKS,
    *json_mode.CHECKS,
    *tier.CHECKS,
    *choices.CHECKS,
)
