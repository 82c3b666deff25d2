"""All checks, in the order in which they run."""

from oruel.verify.check import Check
from oruel.verify.checks import filters

CHECKS: tuple[Check, ...] = (*filters.CHECKS,)
