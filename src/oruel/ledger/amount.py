"""Amounts of USD in JSON and on the command line: exact, and always more than zero."""

import re
from dataclasses import dataclass
from decimal import Decimal

from oruel.contract.kinds import JSONSchema, invalid_value
from oruel.ledger.money import MAX_USD, to_units

PATTERN = r"(?=.*[1-9])(1000000(\.0{1,12})?|[0-9]{1,6}(\.[0-9]{1,12})?)"


@dataclass(frozen=True)
class Amount:
    """A decimal string such as "12.50", or an integer. Floats are refused: they would not be exact."""

    def parse(self, value: object, path: str) -> int:
        """Returns units of 10⁻¹² USD."""
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_USD else value
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
