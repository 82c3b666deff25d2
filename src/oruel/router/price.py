"""Money: what a request costs its user or its operator, in exact decimals and never in floats."""

from dataclasses import dataclass
from decimal import Decimal

from oruel.types import Usage

MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Price:
    """Per million tokens. Cached input is the part of the prompt that was computed already."""

    input: Decimal = Decimal(0)
    cached_input: Decimal = Decimal(0)
    output: Decimal = Decimal(0)

    def of(self, usage: Usage) -> Decimal:
        fresh = usage.prompt_tokens - usage.cached_tokens
        total = self.input * fresh + self.cached_input * usage.cached_tokens + self.output * usage.completion_tokens
        return total / MILLION

    @property
    def weight(self) -> Decimal:
        """By which prices are compared before the usage is known: that of as much input as output."""
        return self.input + self.output
