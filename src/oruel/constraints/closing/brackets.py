"""The open brackets of a document, and which subschemas apply in each."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from oruel.json_schema.keywords import Schema
from oruel.json_schema.references import resolve_pointer

KINDS = {ord("{"): "object", ord("["): "array"}
CONTAINERS = {"object": Mapping, "array": list}
MAX_REFERENCES = 16


class Bracket(NamedTuple):
    """`schemas` are those that may apply. If the bracket `is_certain`, the values in it don't decide which of them do,
    and so not what may follow later.
    """

    kind: str
    schemas: Sequence[Schema]
    is_certain: bool


class OpenBrackets:
    """Follows a document of `schema`, whose references are JSON Pointers, byte by byte."""

    def __init__(self, schema: Any) -> None:
        self._root = schema
        self._open: list[Bracket] = []
        self._in_string = self._is_escaped = self._is_key = False
        self._key = bytearray()
        self._index = 0
        self._indices: list[int] = []

    def uncertain_from(self, depth: int) -> int | None:
        """The number of the outermost bracket, of the first `depth`, whose end has to be checked because what may
        follow in it depends on more than the next key; None if there is none.
        """
        for at, bracket in enumerate(self._open[:depth], 1):
            # In an array, it depends on the number of items.
            if not bracket.is_certain or (at == depth and bracket.kind == "array"):
                return at
        return None

    def feed(self, data: bytes) -> None:
        if self._in_string and not self._is_key and not self._is_escaped and b'"' not in data and b"\\" not in data:
            return
        for byte in data:
            if self._in_string:
                self._take_in_string(byte)
            else:
                self._take(byte)

    def _take_in_string(self, byte: int) -> None:
        if self._is_escaped:
            self._is_escaped = False
        elif byte == ord("\\"):
            self._is_escaped = True
        elif byte == ord('"'):
            self._in_string = False
        if self._in_string and self._is_key:
            self._key.append(byte)

    def _take(self, byte: int) -> None:
        if byte == ord('"'):
            self._in_string = True
            if self._is_key:
                self._key.clear()
        elif byte in KINDS:
            self._open.append(bracket(self._root, self._next_schemas(), KINDS[byte]))
            self._indices.append(self._index)
            self._index, self._is_key = 0, byte == ord("{")
        elif byte in b"}]":
            self._open.pop()
            self._index, self._is_key = self._indices.pop(), False
        elif byte == ord(","):
            self._index += 1
            self._is_key = self._open[-1].kind == "object"
        elif byte == ord(":"):
            self._is_key = False

    def _next_schemas(self) -> list[Any]:
        if not self._open:
            return [self._root]
        around = self._open[-1]
        if around.kind == "array":
            return [inner for one in around.schemas for inner in item_schemas(one, self._index)]
        key = json.loads(b'"%s"' % self._key)
        return [inner for one in around.schemas for inner in member_schemas(one, key)]


def bracket(root: Any, schemas: Sequence[Any], kind: str) -> Bracket:
    applying = list[Schema]()
    seen = set[int]()
    waiting = list(schemas)
    is_certain = True
    while waiting:
        one = waiting.pop()
        if not isinstance(one, Mapping) or id(one) in seen:
            continue
        seen.add(id(one))
        applying.append(one)
        if "$ref" in one:
            target = resolve_pointer(root, one["$ref"])
            is_certain &= target is not None
            waiting.append(target)
        waiting += schemas_in(one, "allOf")
        for keyword in ("anyOf", "oneOf"):
            choices = [choice for choice in schemas_in(one, keyword) if allows_kind(root, choice, kind)]
            is_certain &= len(choices) < 2
            waiting += choices
        is_certain &= "enum" not in one
    return Bracket(kind, applying, is_certain)


def allows_kind(root: Any, schema: Any, kind: str) -> bool:
    """Whether the schema, as far as its own keywords say, may apply to an object or an array."""
    for _ in range(MAX_REFERENCES):
        if not isinstance(schema, Mapping):
            return schema is not False
        if "type" in schema and kind not in as_list(schema["type"]):
            return False
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        if values is not None and not any(isinstance(value, CONTAINERS[kind]) for value in as_list(values)):
            return False
        if "$ref" not in schema:
            return True
        schema = resolve_pointer(root, schema["$ref"])
    return True


def item_schemas(schema: Schema, index: int) -> Iterator[Any]:
    first = schema.get("prefixItems", schema.get("items"))
    if not isinstance(first, list):
        first = []
    if index < len(first):
        yield first[index]
    else:
        yield from (schema[key] for key in ("items", "additionalItems") if isinstance(schema.get(key), Mapping))


def member_schemas(schema: Schema, key: str) -> Iterator[Any]:
    """Of `patternProperties` all, since matching a client's patterns may take long."""
    properties, patterns = schema.get("properties"), schema.get("patternProperties")
    is_named = isinstance(properties, Mapping) and key in properties
    if isinstance(properties, Mapping) and is_named:
        yield properties[key]
    if isinstance(patterns, Mapping):
        yield from patterns.values()
    if not is_named:
        yield schema.get("additionalProperties")


def schemas_in(schema: Schema, keyword: str) -> list[Any]:
    found = schema.get(keyword)
    return found if isinstance(found, list) else []


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
