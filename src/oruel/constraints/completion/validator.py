"""Judges documents by a JSON Schema, in the draft that it names."""

import json
import math
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from typing import Any

import jsonschema_rs
from jsonschema_rs import ValidationError

from oruel.constraints.completion.branching import depth_of, listable_depth
from oruel.constraints.completion.readings import other_readings
from oruel.errors import SchemaRefused
from oruel.json_schema.keywords import Schema
from oruel.json_schema.references import resolve_pointer

Path = tuple[str | int, ...]

# Parts of the URIs in $schema.
DRAFTS = {
    "draft-04": jsonschema_rs.Draft4Validator,
    "draft-06": jsonschema_rs.Draft6Validator,
    "draft-07": jsonschema_rs.Draft7Validator,
    "2019-09": jsonschema_rs.Draft201909Validator,
}
# The work of one pattern on one string, in the steps of the library.
BACKTRACK_LIMIT = 20_000
MAX_LEFT_OUT = 100


def validator_class(schema: Schema) -> Any:
    """Of the draft that the schema names; otherwise of 2020-12."""
    named = str(schema.get("$schema", ""))
    return next((draft for part, draft in DRAFTS.items() if part in named), jsonschema_rs.Draft202012Validator)


def is_valid_schema(schema: Schema) -> bool:
    """Whether each keyword has a value as its draft says."""
    try:
        return bool(jsonschema_rs.meta.is_valid(dict(schema)))
    except (ValueError, jsonschema_rs.ReferencingError):
        # The schema names another metaschema, or numbers that the library can't represent.
        return False


class Validator:
    """Formats are not asserted. Keywords whose value the validator can't read, such as a broken pattern, restrict
    nothing; `left_out` has their names. A value is valid by each reading of the patterns.

    Raises SchemaRefused if the rest is no JSON Schema either.
    """

    def __init__(self, schema: Schema) -> None:
        self._class = validator_class(schema)
        self.schema: dict[str, Any] = {key: value for key, value in schema.items() if key != "$schema"}
        self.left_out: set[str] = set()
        self._compiled = [self._compile(), *self._other_readings()]
        self._listable_depth = listable_depth(self.schema)

    def is_valid(self, value: Any) -> bool:
        try:
            return all(one.is_valid(value) for one in self._compiled)
        except ValueError:  # a number or a character that the library can't represent
            return False

    def errors(self, value: Any) -> Iterator[ValidationError]:
        """Raises ValueError for a number or a character that the library can't represent, and for a document with
        more errors than can be listed.
        """
        if self._listable_depth < math.inf and not self.is_valid(value) and depth_of(value) > self._listable_depth:
            raise ValueError("too many errors")
        for one in self._compiled:
            errors = one.iter_errors(value)
            if first := next(errors, None):
                return chain([first], errors)
        return iter(())

    def schema_at(self, path: list[str | int]) -> Any:
        """What stands at a place in the schema, or on a way that follows references; None if nothing does. The library
        gives names that are digits as numbers, and leaves out empty ones.
        """
        found: Any = self.schema
        for part in path:
            try:
                found = found[int(part)] if isinstance(found, list) else entry_or_empty(found, str(part))
                found = resolve_pointer(self.schema, found) if part == "$ref" and isinstance(found, str) else found
            except (LookupError, TypeError, ValueError):
                return None
        return found

    def _compile(self) -> Any:
        for _ in range(MAX_LEFT_OUT):
            try:
                return self._compiled_as(self.schema)
            except ValidationError as error:
                self._leave_out(list(error.instance_path), error.message)
            except (ValueError, jsonschema_rs.ReferencingError) as error:
                raise SchemaRefused(f"it is no JSON Schema: {str(error).partition(chr(10))[0][:200]}") from error
        raise SchemaRefused(f"more than {MAX_LEFT_OUT} of its keywords have values that the standard doesn't allow")

    def _compiled_as(self, schema: Schema) -> Any:
        return self._class(
            schema,
            offline=True,
            validate_formats=False,
            pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=BACKTRACK_LIMIT),
        )

    def _other_readings(self) -> Iterator[Any]:
        for schema in other_readings(self.schema):
            # The library may refuse what another engine reads.
            with suppress(ValueError):
                yield self._compiled_as(schema)

    def _leave_out(self, path: list[str | int], message: str) -> None:
        """Deletes the innermost named member at `path` from a copy of the schema."""
        while path and not isinstance(path[-1], str):
            path.pop()
        if not path:
            raise SchemaRefused(f"it is no JSON Schema: {message[:200]}")
        self.schema = json.loads(json.dumps(self.schema))
        holder = self.schema_at(path[:-1])
        assert isinstance(holder, dict)
        del holder[str(path[-1])]
        self.left_out.add(str(path[-1]))


def entry_or_empty(schema: Any, name: str) -> Any:
    """The value of a name, or else its value within that of the empty name."""
    return schema[name] if name in schema else schema[""][name]
