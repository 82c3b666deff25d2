"""Which JSON Schema keywords the syntaxes other than JSON enforce, and the refusal of all others."""

import re
from collections.abc import Mapping
from typing import Any, NoReturn

from oruel.errors import SchemaRefused, UnsupportedParameter
from oruel.json_schema.keywords import ANNOTATIONS, DEFINITIONS
from oruel.json_schema.references import plain_references

MAX_CHOICES = 1000
TAGGED_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")

LENGTHS = {"minLength", "maxLength"}
NUMBERS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
# The keywords that are enforced for each type.
ENFORCED = {
    "string": {"pattern", "format"} | LENGTHS,
    "number": NUMBERS,
    "integer": NUMBERS,
    "boolean": set[str](),
    "null": set[str](),
    "array": {"items", "minItems", "maxItems"},
    "object": {"properties", "required", "additionalProperties"},
}
# Ignored: annotations, and keywords that no syntax can enforce, which a response header reports.
IGNORED = ANNOTATIONS | DEFINITIONS
IGNORED |= {"type", "nullable", "strict", "uniqueItems", "contains", "not", "if", "then", "else", "discriminator"}


class SchemaRules:
    """The grammar rules of one function's arguments. Their names begin with `prefix`; `where` names the schema in
    messages. `_references` maps what may refer to itself to the name of its rule.
    """

    def __init__(self, prefix: str, where: str) -> None:
        self._prefix = prefix
        self._where = where
        self._references: dict[str, str] = {}
        self._lines: list[str] = []

    @property
    def rules(self) -> str:
        return "".join(self._lines)

    def _rule(self, body: str) -> str:
        name = f"{self._prefix}s{len(self._lines)}"
        self._lines.append(f"{name}: {body}\n")
        return name

    def _refuse(self, path: str, what: str) -> NoReturn:
        refuse_schema(self._where + path, what)


def refuse_schema(where: str, what: str) -> NoReturn:
    """`where` names the schema, `what` the part that can't be enforced."""
    raise UnsupportedParameter(
        f"{where} has {what}, which can't be enforced in this model's call format. Leave it out.", param="tools"
    )


def require_plain_references(schema: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Raises UnsupportedParameter for a reference that doesn't resolve within the schema."""
    try:
        return plain_references(schema)
    except SchemaRefused as error:
        raise UnsupportedParameter(f"{where} can't be enforced: {error.message}.", param="tools") from error


def check_keywords(schema: Mapping[str, Any], named: str, where: str) -> None:
    """Raises UnsupportedParameter for a keyword that isn't enforced for this type."""
    for keyword in schema:
        if keyword not in ENFORCED.get(named, ()) and keyword not in IGNORED and not keyword.startswith(("x-", "$")):
            refuse_schema(where, keyword)
    if named not in ENFORCED:
        refuse_schema(where, f"type {named}")


def conflicting_keyword(schema: Mapping[str, Any], other: Any) -> str:
    """A keyword that restricts values and has different values in both schemas; empty if there is none."""
    both = [name for name in schema if isinstance(other, Mapping) and name in other and schema[name] != other[name]]
    return next((name for name in both if name not in ANNOTATIONS), "")


def pick_keywords(schema: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name in names}
