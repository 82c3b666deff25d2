"""The rewrites, in their order."""

from collections.abc import Callable
from typing import Any

from oruel.constraints.keywords import RESTRICTING
from oruel.constraints.rewriting.formats import format_as_pattern
from oruel.constraints.rewriting.targets import with_defined_targets
from oruel.constraints.weight import check_nesting
from oruel.json_schema.keywords import DEFINITIONS, Schema, map_schema
from oruel.json_schema.references import plain_references

# Each takes one schema, without those inside.
REWRITES: tuple[Callable[[Schema], Schema], ...] = (format_as_pattern,)


def rewritten(schema: Schema) -> dict[str, Any]:
    """A schema for the same documents that the grammar library enforces as far as possible. It has no words that
    restrict nothing. Each of its references points to itself or to one of its definitions.

    Raises SchemaRefused for a reference to nothing in the schema, and for one that has too many subschemas or nests too
    deep.
    """
    schema = plain_references(schema)
    check_nesting(schema)
    return dict(map_schema(with_defined_targets(schema), rewrite_one))


def rewrite_one(schema: Schema) -> Schema:
    schema = only_restricting(schema)
    for rewrite in REWRITES:
        schema = rewrite(schema)
    return schema


def only_restricting(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key in RESTRICTING or key in DEFINITIONS}
