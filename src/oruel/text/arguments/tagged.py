"""Arguments that are written as tags: which there are, what constrains each, and which are verbatim text."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any

from oruel.constraints.schema import unenforceable_keywords
from oruel.errors import SchemaRefused
from oruel.json_schema.extract import self_contained
from oruel.json_schema.keywords import ANNOTATIONS, DEFINITIONS
from oruel.json_schema.references import plain_references, resolve_pointer
from oruel.text.formats.calls import TYPE, TagSyntax

# Keywords that can be enforced on verbatim text.
TEXTUAL = frozenset({"type", "enum", "const", "minLength", "maxLength"})
# Keywords that can't be enforced on tags, since each tag is independent.
TOGETHER = frozenset(
    {"anyOf", "const", "dependencies", "dependentRequired", "dependentSchemas", "else", "enum", "if", "not", "oneOf",
     "propertyNames", "then"}
)  # fmt: skip
# Longer counts are too costly for a grammar.
MAX_LENGTH = 2**16
# For all schemas of one function's arguments, with their references.
MAX_CHARACTERS = 2**21
# In Python, a boolean is an integer.
TYPES: Mapping[str, type | tuple[type, ...]] = {
    "boolean": bool,
    "null": NoneType,
    "number": (int, float),
    "string": str,
    "object": dict,
    "array": list,
}
# Names of types in tags that differ from JSON Schema's.
NAMES = {"integer": "number"}


@dataclass(frozen=True, slots=True)
class TextLimits:
    """Constrains a verbatim value: one of `choices`, or a length in characters."""

    choices: tuple[str, ...] | None = None
    least: int = 0
    most: int | None = None

    def takes(self, value: str) -> bool:
        return self.least <= len(value) and (self.most is None or len(value) <= self.most)


@dataclass(frozen=True, slots=True)
class ValueSyntax:
    """A way to write a value after `after_key`: verbatim if `held` is set, otherwise as JSON."""

    after_key: str
    schema: dict[str, Any]
    held: TextLimits | None = None

    @property
    def is_text(self) -> bool:
        return self.held is not None


@dataclass(frozen=True, slots=True)
class ToolArgument:
    """`schema` contains everything that it refers to."""

    key: str
    schema: dict[str, Any]
    is_required: bool

    def ways(self, tags: TagSyntax) -> list[ValueSyntax]:
        """One way, or one per type if the tag names the type. Raises SchemaRefused if there is none."""
        if TYPE not in tags.after_key_json:
            # A string whose schema verbatim text can't satisfy is written as JSON.
            held = as_text(self.schema, tags.after_value)
            return [ValueSyntax(tags.after_key if held else tags.after_key_json, self.schema, held)]
        found = [way for name in types(self.schema) if (way := self._typed(name, tags))]
        if not found:
            raise SchemaRefused(f"the tags of this model can't express any value of {json.dumps(self.key)}")
        return found

    def _typed(self, name: str, tags: TagSyntax) -> ValueSyntax | None:
        schema = {**self.schema, "type": name}
        if "enum" in schema:
            schema["enum"] = [choice for choice in schema["enum"] if json_type(choice) == NAMES.get(name, name)]
        if name == "string":
            held = as_text(schema, tags.after_value)
            return ValueSyntax(tags.after_key, schema, held) if held else None
        after_key = tags.after_key_json.replace(TYPE, NAMES.get(name, name))
        return ValueSyntax(after_key, schema) if can_be_written(schema) else None


def as_text(schema: Mapping[str, Any], end: str) -> TextLimits | None:
    """The limits of verbatim text, up to the first `end`, for strings of this schema; None if it can't be enforced."""
    if not schema.keys() <= ANNOTATIONS | DEFINITIONS | TEXTUAL or schema.get("type", "string") != "string":
        return None
    most = schema.get("maxLength")
    text = TextLimits(None, int(schema.get("minLength", 0)), None if most is None else int(most))
    if max(text.least, text.most or 0) > MAX_LENGTH:
        return None
    values = choices(schema)
    if values is None:
        return text if "type" in schema else None
    if not values or not all(isinstance(value, str) and text.takes(value) and fits(value, end) for value in values):
        return None
    return TextLimits(tuple(values))


def choices(schema: Mapping[str, Any]) -> list[Any] | None:
    """The possible values; None if they aren't enumerated."""
    listed: list[Any] | None = schema.get("enum")
    if "const" not in schema:
        return listed
    return [schema["const"]] if listed is None or schema["const"] in listed else []


def fits(value: str, end: str) -> bool:
    """Whether the first `end` after the value is its end. Unprintable values are left to JSON."""
    return value.isprintable() and (value + end).find(end) == len(value)


def types(schema: Mapping[str, Any]) -> list[str]:
    """The types that a value of this schema may have; all if the schema doesn't say."""
    named = schema.get("type")
    if named:
        return [named] if isinstance(named, str) else list(named)
    listed = choices(schema)
    return sorted({json_type(choice) for choice in listed}) if listed else list(TYPES)


def json_type(value: Any) -> str:
    return next(name for name, kind in TYPES.items() if isinstance(value, kind))


def can_be_written(schema: Mapping[str, Any]) -> bool:
    try:
        unenforceable_keywords(schema)
    except SchemaRefused:
        return False
    return True


class ToolArguments:
    """The arguments of one function: those that its schema declares, in order, and other required ones. No others are
    ever written. `left_out`: the keywords that tags can't enforce, sorted.

    Raises SchemaRefused for a required argument that can't exist, and for too large schemas.
    """

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._root = plain_references(parameters)
        self._parts = list(self._all())
        self._required = {key for part in self._parts for key in part.get("required") or ()}
        self._size = 0
        keys = [key for part in self._parts for key in [*(part.get("properties") or ()), *(part.get("required") or ())]]
        self.each = [found for key in dict.fromkeys(keys) if (found := self._argument(key))]
        self.left_out = tuple(sorted(self._left_out()))

    def _all(self) -> Iterator[Mapping[str, Any]]:
        """The schemas that all apply: the object's own, its references, and those in allOf."""
        waiting: list[Any] = [self._root]
        seen: set[int] = set()
        for schema in waiting:
            if isinstance(schema, Mapping) and id(schema) not in seen:
                seen.add(id(schema))
                yield schema
                waiting += [resolve_pointer(self._root, schema.get("$ref")), *(schema.get("allOf") or ())]

    def _argument(self, key: str) -> ToolArgument | None:
        applying = [applying_to(key, part) for part in self._parts]
        is_required = key in self._required
        if any(schema is False for schema in applying):
            if is_required:
                raise SchemaRefused(f"{json.dumps(key)} is required, and nothing that it may be")
            return None
        held = [schema for schema in applying if isinstance(schema, Mapping) and schema]
        schema = self_contained({"allOf": held} if len(held) > 1 else held[0] if held else {}, self._root)
        self._size += len(json.dumps(schema))
        if self._size > MAX_CHARACTERS:
            raise SchemaRefused(f"its arguments refer to more than {MAX_CHARACTERS} characters of schemas")
        return ToolArgument(key, schema, is_required)

    def _left_out(self) -> set[str]:
        named = {keyword for part in self._parts for keyword in TOGETHER & part.keys()}
        if self.each and any(part.get("patternProperties") for part in self._parts):
            named.add("patternProperties")
        if any(part.get("minProperties", 0) > len(self._required) for part in self._parts):
            named.add("minProperties")
        if any(part.get("maxProperties", len(self.each)) < len(self.each) for part in self._parts):
            named.add("maxProperties")
        return named


def applying_to(key: str, part: Mapping[str, Any]) -> Any:
    """What one schema of the object says about the value of `key`."""
    properties = part.get("properties") or {}
    return properties[key] if key in properties else part.get("additionalProperties", True)
