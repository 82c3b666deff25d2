"""Prices and costs are exact decimals."""

from decimal import Decimal, localcontext
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from oruel.router.price import Price
from oruel.types import Usage

AMOUNTS = st.decimals(0, 10_000, allow_nan=False, places=6)
TOKENS = st.integers(0, 2**63)


def test_small_prices_add_up_exactly() -> None:
    price = Price(Decimal("0.1"), Decimal("0.025"), Decimal("0.4"))
    assert price.of(Usage(prompt_tokens=3_000_003, completion_tokens=1, cached_tokens=3)) == Decimal("0.300000475")
    assert sum([price.of(Usage(prompt_tokens=1, completion_tokens=0))] * 10) == Decimal("0.000001")


@given(AMOUNTS, AMOUNTS, AMOUNTS, TOKENS, TOKENS, TOKENS)
def test_costs_are_exact_for_every_price(
    uncached: Decimal, cached: Decimal, output: Decimal, uncached_tokens: int, cached_tokens: int, output_tokens: int
) -> None:
    usage = Usage(uncached_tokens + cached_tokens, output_tokens, cached_tokens)
    expected = (
        Fraction(uncached) * uncached_tokens + Fraction(cached) * cached_tokens + Fraction(output) * output_tokens
    ) / 1_000_000
    with localcontext(prec=3):
        price = Price(uncached, cached, output)
        assert Fraction(price.of(usage)) == expected
        assert Fraction(price.weight) == Fraction(uncached) + Fraction(output)
