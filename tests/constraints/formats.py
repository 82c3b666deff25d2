"""Checks of string formats by their RFCs, for those that jsonschema checks only with more packages."""

import re
from collections.abc import Callable
from datetime import date
from urllib.parse import urlsplit

from jsonschema import FormatChecker

TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(z|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII | re.I)
# RFC 3339, appendix A.
DURATION = re.compile(
    r"P(\d+W|(\d+D|\d+M(\d+D)?|\d+Y(\d+M(\d+D)?)?)(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?|T(?=\d)(\d+H)?(\d+M)?(\d+S)?)",
    re.ASCII,
)
# RFC 1123; at most 253 characters.
HOSTNAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.I)
# RFC 3986, and RFC 3987 with further characters.
URI_CHARACTERS = re.compile(r"([A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
IRI_CHARACTERS = re.compile(r"([A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2}|[^\x00-\x9f])*")
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.*")
# RFC 6570, with its expressions in outline.
TEMPLATE = re.compile(
    r"([^\x00-\x20\"'%<>\\^`{|}]|%[0-9A-Fa-f]{2}|\{[+#./;?&=,!@|]?[\w.%]+(:\d+|\*)?(,[\w.%]+(:\d+|\*)?)*\})*"
)

CHECKER = FormatChecker()


def is_time(text: str) -> bool:
    return bool(TIME.fullmatch(text))


def is_date_time(text: str) -> bool:
    day, separator, time = text[:10], text[10:11], text[11:]
    if separator not in ("T", "t") or not re.fullmatch(r"\d{4}-\d\d-\d\d", day, re.ASCII) or not is_time(time):
        return False
    try:
        date.fromisoformat(day)
    except ValueError:
        return False
    return True


def is_reference(text: str, characters: re.Pattern[str]) -> bool:
    if not characters.fullmatch(text) or text.count("#") > 1:
        return False
    try:
        urlsplit(text)
    except ValueError:
        return False
    return True


CHECKS: dict[str, Callable[[str], bool]] = {
    "time": is_time,
    "date-time": is_date_time,
    "duration": lambda text: bool(DURATION.fullmatch(text)),
    "hostname": lambda text: bool(HOSTNAME.fullmatch(text)),
    "uri": lambda text: bool(SCHEME.fullmatch(text)) and is_reference(text, URI_CHARACTERS),
    "uri-reference": lambda text: is_reference(text, URI_CHARACTERS),
    "iri": lambda text: bool(SCHEME.fullmatch(text)) and is_reference(text, IRI_CHARACTERS),
    "iri-reference": lambda text: is_reference(text, IRI_CHARACTERS),
    "uri-template": lambda text: bool(TEMPLATE.fullmatch(text)),
}


def checked(name: str) -> Callable[[object], bool]:
    return lambda value: not isinstance(value, str) or CHECKS[name](value)


for name in CHECKS:
    CHECKER.checks(name)(checked(name))
