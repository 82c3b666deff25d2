"""Amounts of money as the store keeps them: integers of 10⁻¹² USD, so that sums are exact in every database."""

from decimal import Decimal

from oruel.router.price import EXACT

UNITS_PER_USD = 10**12
# An account's balance and a limit may have at most this many USD, so that sums stay below 2**63 units.
MAX_USD = 1_000_000


def to_units(usd: Decimal) -> int:
    """Raises decimal.Inexact for more than 12 decimals."""
    return int(EXACT.to_integral_exact(EXACT.scaleb(usd, 12)))


def to_usd(units: int) -> Decimal:
    return EXACT.scaleb(Decimal(units), -12)


def usd_text(units: int) -> str:
    """A decimal string without exponent and trailing zeros, such as 0.00042."""
    text = f"{to_usd(units):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
