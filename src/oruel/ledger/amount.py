"""Amounts of USD in JSON and on the command line: exact, and always more than zero."""

import re
from dataclasses import dataclass
from decimal import Decimal

from oruel.contract.kinds import JSONSchema, invalid_value
from oruel.ledger.money import MAX_USD, to_units

PATTERN = r"(?=.*[1-9])(1000000(\.0{1,12})?|[0-9]{1,6}(\.[0-9]{1,12})?)"


@dataclass(frozen=True)
class Amount:
    """A decimal string such as "12.50", or an integer. JSON's other numbers are refused: they would not be exact."""

    def parse(self, value: object, path: str) -> int:
        """Returns units of 10⁻¹² USD."""
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        is_whole = isinstance(number, int) and not isinstance(number, bool) and 0 < number <= MAX_USD
        text = str(number) if is_whole else number
        if not isinstance(text, str) or not re.fullmatch(PATTERN, text):
            raise invalid_value(self, value, path)
        return to_units(Decimal(text))

    def schema(self) -> JSONSchema:
        return {
            "anyOf": [
                {"type": "string", "pattern": f"^{PATTERN}$"},
                {"type": "integer", "minimum": 1, "maximum": MAX_USD},
            ]
        }

    def __str__(self) -> str:
        return f'a positive decimal string of USD such as "12.50", at most {MAX_USD}, with at most 12 decimals'
