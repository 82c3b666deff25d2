"""How many subschemas judge one value: those that apply to it in place, by however many ways."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from oruel.errors import SchemaRefused
from oruel.json_schema.keywords import Schema
from oruel.json_schema.references import resolve_pointer

# Each subschema counts once for each way that leads to it.
MAX_APPLIED = 20_000
# How many in-place subschemas may lie within each other.
MAX_CHAIN = 200
SEVERAL = ("allOf", "anyOf", "oneOf")
ONE = ("not", "if", "then", "else")
BY_KEY = ("dependentSchemas", "dependencies")


def check_in_place(root: Schema, schemas: Iterable[Schema]) -> None:
    """Raises SchemaRefused for a schema that applies to a value only if it applies to the same value, which has no
    meaning, and for more than MAX_APPLIED.
    """
    counter = _Counter(root)
    for schema in schemas:
        if counter.count(schema, 0) > MAX_APPLIED:
            raise SchemaRefused("its alternatives refer to each other in too many ways: use fewer references")


class _Counter:
    def __init__(self, root: Schema) -> None:
        self._root = root
        self._known: dict[int, int] = {}
        self._open: set[int] = set()

    def count(self, schema: Any, depth: int) -> int:
        if not isinstance(schema, Mapping):
            return 1
        if id(schema) in self._open:
            raise SchemaRefused("it refers to itself for the same value, which has no meaning: leave that out")
        if depth > MAX_CHAIN:
            raise SchemaRefused("its references form too long a chain: use fewer")
        if id(schema) not in self._known:
            self._open.add(id(schema))
            self._known[id(schema)] = 1 + sum(self.count(one, depth + 1) for one in in_place(self._root, schema))
            self._open.remove(id(schema))
        return self._known[id(schema)]


def in_place(root: Schema, schema: Schema) -> Iterator[Any]:
    """The subschemas that apply to the same value."""
    if "$ref" in schema:
        yield resolve_pointer(root, schema["$ref"])
    for keyword in SEVERAL:
        if isinstance(schema.get(keyword), list):
            yield from schema[keyword]
    yield from (schema[keyword] for keyword in ONE if keyword in schema)
    for keyword in BY_KEY:
        if isinstance(schema.get(keyword), Mapping):
            yield from schema[keyword].values()
