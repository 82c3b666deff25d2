"""Computes what a request costs its user or the operator, in exact decimals."""

from dataclasses import dataclass
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, Inexact

from oruel.types import Usage

# Keeps every digit, regardless of the precision of the thread's decimal context.
EXACT = Context(prec=MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[Inexact])


@dataclass(frozen=True, slots=True)
class Price:
    """Per million tokens. Cached input is the part of the prompt that the server found in its prefix cache."""

    input: Decimal = Decimal(0)
    cached_input: Decimal = Decimal(0)
    output: Decimal = Decimal(0)

    def of(self, usage: Usage) -> Decimal:
        """The exact price of a request with this usage."""
        uncached = usage.prompt_tokens - usage.cached_tokens
        total = EXACT.multiply(self.input, uncached)
        total = EXACT.fma(self.cached_input, usage.cached_tokens, total)
        total = EXACT.fma(self.output, usage.completion_tokens, total)
        # Divides by a million by moving the decimal point.
        return EXACT.scaleb(total, -6)

    def highest(self, prompt_tokens: int, completion_tokens: int) -> Decimal:
        """The exact price with whichever part of the prompt in the cache costs most."""
        total = EXACT.multiply(max(self.input, self.cached_input), prompt_tokens)
        return EXACT.scaleb(EXACT.fma(self.output, completion_tokens, total), -6)

    @property
    def weight(self) -> Decimal:
        """Compares prices before the usage is known, assuming as many input as output tokens."""
        return EXACT.add(self.input, self.output)
