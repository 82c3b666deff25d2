"""The rewrites, in their order."""

from typing import Any

from oruel.constraints.rewriting.choices import with_any_of
from oruel.constraints.rewriting.classes import with_quotable_classes
from oruel.constraints.rewriting.conditions import without_conditions
from oruel.constraints.rewriting.counts import with_plain_counts
from oruel.constraints.rewriting.cycles import without_merged_cycles
from oruel.constraints.rewriting.disjoint import Disjointness
from oruel.constraints.rewriting.drafts import declared, in_newest_draft
from oruel.constraints.rewriting.formats import format_as_pattern
from oruel.constraints.rewriting.negations import without_negation
from oruel.constraints.rewriting.targets import with_defined_targets
from oruel.constraints.rewriting.types import with_plain_types
from oruel.constraints.rewriting.unevaluated import without_unevaluated
from oruel.constraints.rewriting.unfitting import without_unfitting_references
from oruel.constraints.weight import check_nesting, check_weight
from oruel.errors import SchemaRefused
from oruel.json_schema.keywords import Schema, map_schema, restricting
from oruel.json_schema.references import plain_references


def rewritten(schema: Schema) -> dict[str, Any]:
    """A schema for the same documents, or for those of them whose strings are as formats.py says, that the grammar
    library enforces as far as possible. It has no words that restrict nothing. Each of its references points to itself
    or to one of its definitions.

    Raises SchemaRefused for a reference to nothing in the schema, and for one that has too many subschemas or nests too
    deep.
    """
    draft = declared(schema)
    schema = plain_references(schema)
    check_nesting(schema)
    schema = with_defined_targets(schema)
    schema = map_schema(schema, lambda one: in_newest_draft(restricting(one), draft))
    schema = map_schema(schema, lambda one: with_plain_counts(without_unevaluated(one, schema)))
    positive = map_schema(schema, lambda one: without_conditions(without_negation(one, schema), schema))
    found = with_plain_choices(positive)
    # What `not` and `if` say takes copies, too many for some schemas.
    return found if positive == schema or is_light(found) else with_plain_choices(schema)


def with_plain_choices(schema: Schema) -> dict[str, Any]:
    disjointness = Disjointness(schema)

    def rewrite(one: Schema) -> Schema:
        return format_as_pattern(with_quotable_classes(with_plain_types(with_any_of(one, disjointness))))

    return without_unfitting_references(without_merged_cycles(map_schema(schema, rewrite)))


def is_light(schema: Schema) -> bool:
    try:
        check_weight(schema)
    except SchemaRefused:
        return False
    return True
