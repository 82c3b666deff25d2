"""Copies what references point to into definitions, so that the rest of a schema may be rewritten."""

import re
from collections.abc import Mapping
from itertools import count
from typing import Any

from oruel.errors import SchemaRefused
from oruel.json_schema.keywords import Schema, map_schema, subschemas
from oruel.json_schema.references import MOST_SUBSCHEMAS, references_in, resolve_pointer

# The root and its definitions stay where they are.
LASTING = re.compile(r"#|#/(\$defs|definitions)/[^/]*")


def with_defined_targets(schema: Schema) -> Schema:
    """An equivalent schema, in which each reference points to the root or to one of its definitions. References have to
    be plain.

    Raises SchemaRefused for more than MOST_SUBSCHEMAS.
    """
    if all(map(LASTING.fullmatch, references_in(schema))):
        return schema
    return _TargetCopies(schema).schema


class _TargetCopies:
    def __init__(self, root: Schema) -> None:
        self._root = root
        self._left = MOST_SUBSCHEMAS
        present = root.get("$defs")
        taken = present if isinstance(present, Mapping) else {}
        self._free = (f"r{number}" for number in count() if f"r{number}" not in taken)
        self._names: dict[str, str] = {}
        copy = self._copy(root)
        copies: dict[str, Any] = {}
        while missing := self._names.keys() - copies.keys():
            copies |= {reference: self._copy(resolve_pointer(root, reference)) for reference in sorted(missing)}
        present = copy["$defs"] if taken else {}
        self.schema: Schema = copy | {"$defs": present | {self._names[each]: copies[each] for each in copies}}

    def _copy(self, schema: Any) -> Any:
        self._left -= sum(1 for _ in subschemas(schema))
        if self._left < 0:
            raise SchemaRefused(f"it has more than {MOST_SUBSCHEMAS:,} subschemas: use fewer")
        return map_schema(schema, self._with_moved_target)

    def _with_moved_target(self, schema: Schema) -> Schema:
        reference = schema.get("$ref")
        if not isinstance(reference, str) or LASTING.fullmatch(reference):
            return schema
        if resolve_pointer(self._root, reference) is None:
            return schema
        if reference not in self._names:
            self._names[reference] = next(self._free)
        return {**schema, "$ref": f"#/$defs/{self._names[reference]}"}
