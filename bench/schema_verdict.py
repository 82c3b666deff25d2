"""Whether a document fits a schema, as the Python package jsonschema judges, which no server under test uses."""

import calendar
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jsonschema import FormatChecker
from jsonschema.validators import validator_for

from bench.schema_keywords import keywords_on

# RFC 3986's characters, and RFC 3339's forms: formats that the package checks only with further packages.
URI_TEXT = r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*"
DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])")
PATTERNS = {
    "uri": re.compile(rf"[A-Za-z][A-Za-z0-9+.-]*:{URI_TEXT}"),
    "uri-reference": re.compile(URI_TEXT),
    "time": TIME,
    "hostname": re.compile(r"(?=.{1,253}$)(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*"),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`broken`: of each way in which the document breaks the schema, the words on the way to the keyword: with
    "then/required" the keyword is required, and counts because of then. Empty if it is valid or no JSON.
    """

    is_json: bool
    broken: tuple[str, ...] = ()

    @property
    def is_valid(self) -> bool:
        return self.is_json and not self.broken

    def is_covered_by(self, named: Collection[str]) -> bool:
        """Whether each breach is of a keyword that was named as not held, or lies below one."""
        return all(set(path.split("/")) & set(named) for path in self.broken)


def judge(schema: dict[str, Any], text: str) -> Verdict:
    try:
        document = json.loads(text)
    except ValueError:
        return Verdict(False)
    errors = validator_for(schema)(schema, format_checker=format_checker()).iter_errors(document)
    return Verdict(True, tuple(sorted({"/".join(keywords_on(error.absolute_schema_path)) for error in errors})))


@lru_cache(1)
def format_checker() -> FormatChecker:
    """All formats that the package checks by itself, and those of the web's addresses and times."""
    checker = FormatChecker()
    checks = {
        **{name: pattern.fullmatch for name, pattern in PATTERNS.items()},
        "date": is_date,
        "date-time": lambda text: is_date(text[:10]) and text[10:11] in ("T", "t") and TIME.fullmatch(text[11:]),
    }
    for name, check in checks.items():
        checker.checks(name)(lambda value, check=check: not isinstance(value, str) or bool(check(value)))
    return checker


def is_date(text: str) -> bool:
    """RFC 3339's full-date, which has a year 0000, unlike Python."""
    if not DATE.fullmatch(text):
        return False
    year, month, day = map(int, text.split("-"))
    return 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year or 4, month)[1]
