r"""Negated classes in patterns, such as [^"\\], that exclude NUL too. In a class with all control characters,
llguidance 1.9.1 takes a quote and a backslash, escaped as JSON needs them, for control characters.
"""

import re
from collections.abc import Mapping
from typing import Any

from oruel.constraints.rewriting.formats import FORMATS
from oruel.json_schema.keywords import Schema

NEGATED = re.compile(r"\\.|\[\^(?P<hyphen>-?)(?P<rest>(?:\\.|[^\]\\])*)\]|\[(?:\\.|[^\]\\])+\]", re.DOTALL)
ALREADY_RIGHT = frozenset(FORMATS.values())


def with_quotable_classes(schema: Schema) -> Schema:
    """One schema, without those inside. NUL is hardly ever meant, and the only character that is lost."""
    found: dict[str, Any] = dict(schema)
    if isinstance(found.get("pattern"), str):
        found["pattern"] = without_nul(found["pattern"])
    if isinstance(found.get("patternProperties"), Mapping):
        found["patternProperties"] = {without_nul(key): one for key, one in found["patternProperties"].items()}
    return found


def without_nul(pattern: str) -> str:
    return pattern if pattern in ALREADY_RIGHT else NEGATED.sub(excluding_nul, pattern)


def excluding_nul(part: re.Match[str]) -> str:
    if part["rest"] is None or not (part["hyphen"] or part["rest"]) or part["rest"].startswith(r"\x00"):
        return part[0]
    hyphen = r"\-" if part["hyphen"] else ""
    return rf"[^\x00{hyphen}{part['rest']}]"
