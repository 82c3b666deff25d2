"""Amounts of money in TOML, read to the last digit."""

import re
from dataclasses import dataclass
from decimal import Decimal

from oruel.contract.kinds import JSONSchema, abbreviate, describe
from oruel.errors import InvalidParameter

MAX_AMOUNT = 1_000_000
DECIMALS = 12


class WrittenDecimal(float):
    """A decimal number with the text it was written as."""

    text: str

    def __new__(cls, text: str) -> "WrittenDecimal":
        number = super().__new__(cls, text)
        number.text = text
        return number


@dataclass(frozen=True)
class Money:
    """A number or a string with a bounded number of digits, so that sums of it can be exact."""

    def parse(self, value: object, path: str) -> Decimal:
        """`value` is as TOML has it, its floats Written."""
        text = amount_text(value)
        amount = Decimal(text) if re.fullmatch(rf"\d{{1,7}}(\.\d{{1,{DECIMALS}}})?", text, re.ASCII) else None
        if amount is None or amount > MAX_AMOUNT:
            shown = abbreviate(value.text) if isinstance(value, WrittenDecimal) else describe(value)
            raise InvalidParameter(f"{path} must be {self}, but is {shown}.", param=path)
        return amount

    def schema(self) -> JSONSchema:
        return {"type": ["number", "string"], "minimum": 0, "maximum": MAX_AMOUNT}

    def __str__(self) -> str:
        return f"an amount from 0 to {MAX_AMOUNT} with at most {DECIMALS} decimals and no exponent"


def amount_text(value: object) -> str:
    """What is to be read as digits; nothing for what is no amount, and for integers that only fill memory."""
    match value:
        case WrittenDecimal():
            return value.text.replace("_", "")
        case str():
            return value
        case int() if not isinstance(value, bool) and 0 <= value <= MAX_AMOUNT:
            return str(value)
        case _:
            return ""
