"""Parses prices per million tokens in TOML exactly."""

import re
from dataclasses import dataclass
from decimal import Decimal

from oruel.contract.kinds import JSONSchema, abbreviate, describe
from oruel.errors import InvalidParameter

# So that the ledger can count the price of a token in whole units of 10⁻¹² USD, and of any request in 64 bits.
MAX_AMOUNT = 10_000
DECIMALS = 6


class WrittenDecimal(float):
    """A float that keeps the text from which it was parsed."""

    text: str

    def __new__(cls, text: str) -> "WrittenDecimal":
        number = super().__new__(cls, text)
        number.text = text
        return number


@dataclass(frozen=True)
class Money:
    """A number or a string with a bounded number of digits, so that sums are exact."""

    def parse(self, value: object, path: str) -> Decimal:
        """`value` comes from a TOML parser that reads floats as WrittenDecimal."""
        text = amount_text(value)
        amount = Decimal(text) if re.fullmatch(rf"\d{{1,5}}(\.\d{{1,{DECIMALS}}})?", text, re.ASCII) else None
        if amount is None or amount > MAX_AMOUNT:
            shown = abbreviate(value.text) if isinstance(value, WrittenDecimal) else describe(value)
            raise InvalidParameter(f"{path} must be {self}, but is {shown}.", param=path)
        return amount

    def schema(self) -> JSONSchema:
        return {"type": ["number", "string"], "minimum": 0, "maximum": MAX_AMOUNT}

    def __str__(self) -> str:
        return f"an amount from 0 to {MAX_AMOUNT} with at most {DECIMALS} decimals and no exponent"


def amount_text(value: object) -> str:
    """The digits of the amount as written; empty for other types and for integers beyond the maximum."""
    match value:
        case WrittenDecimal():
            return value.text.replace("_", "")
        case str():
            return value
        case int() if not isinstance(value, bool) and 0 <= value <= MAX_AMOUNT:
            return str(value)
        case _:
            return ""
