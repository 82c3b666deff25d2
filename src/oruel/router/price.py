"""What a request costs its user or its operator, in exact decimals, never in floats."""

from dataclasses import dataclass
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, Inexact

from oruel.types import Usage

# Keeps every digit, whatever the precision of the thread's own context.
EXACT = Context(prec=MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[Inexact])


@dataclass(frozen=True, slots=True)
class Price:
    """Per million tokens. Cached input is the part of the prompt that had been computed already."""

    input: Decimal = Decimal(0)
    cached_input: Decimal = Decimal(0)
    output: Decimal = Decimal(0)

    def of(self, usage: Usage) -> Decimal:
        """The price of the usage, exactly."""
        fresh = usage.prompt_tokens - usage.cached_tokens
        total = EXACT.multiply(self.input, fresh)
        total = EXACT.fma(self.cached_input, usage.cached_tokens, total)
        total = EXACT.fma(self.output, usage.completion_tokens, total)
        # A millionth, by moving the decimal point.
        return EXACT.scaleb(total, -6)

    @property
    def weight(self) -> Decimal:
        """For comparing prices before the usage is known: the price of as much input as output."""
        return EXACT.add(self.input, self.output)
