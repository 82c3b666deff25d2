"""All checks, in the order in which they run."""

from oruel.verify.check import Check
from oruel.verify.checks import filters, logprobs, penalties, seed, temperature

CHECKS: tuple[Check, ...] = (*temperature.CHECKS, *filters.CHECKS, *penalties.CHECKS, *seed.CHECKS, *logprobs.CHECKS)
