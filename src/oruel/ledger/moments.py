"""Times and days in JSON and on the command line. The store keeps times in microseconds since the epoch."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from oruel.contract.kinds import JSONSchema, invalid_value

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
TIME = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"


@dataclass(frozen=True)
class Day:
    def parse(self, value: object, path: str) -> date:
        if isinstance(value, str) and re.fullmatch(DAY, value, re.ASCII) and (found := read_date(value)):
            return found
        raise invalid_value(self, value, path)

    def schema(self) -> JSONSchema:
        return {"type": "string", "format": "date", "pattern": f"^{DAY}$"}

    def __str__(self) -> str:
        return "a date such as 2026-11-28"


@dataclass(frozen=True)
class Moment:
    """A time with its offset from UTC, or a date, which means its start in UTC."""

    def parse(self, value: object, path: str) -> int:
        """Returns microseconds since the epoch."""
        if isinstance(value, str) and re.fullmatch(f"{DAY}(T{TIME})?", value, re.ASCII):
            found = read_time(value)
            if found is not None:
                return to_microseconds(found)
        raise invalid_value(self, value, path)

    def schema(self) -> JSONSchema:
        return {"type": "string", "pattern": f"^{DAY}(T{TIME})?$"}

    def __str__(self) -> str:
        return "a time such as 2027-01-31T12:00:00Z, or a date, which means its start in UTC"


def read_date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def read_time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def to_microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment_text(microseconds: int) -> str:
    """Such as 2027-01-31T12:00:00Z, cut to whole seconds."""
    return f"{EPOCH + timedelta(seconds=microseconds // 10**6):%Y-%m-%dT%H:%M:%SZ}"
