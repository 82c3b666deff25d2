"""All checks, in the order in which they run."""

from oruel.verify.check import Check
from oruel.verify.checks import (
    choices,
    defaults,
    filters,
    json_mode,
    length,
    logit_bias,
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
    *defaults.CHECKS,
    *logit_bias.CHECKS,
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
