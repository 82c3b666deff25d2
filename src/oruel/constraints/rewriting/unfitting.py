"""References to definitions that no value fits: the grammar library refuses them also where nothing has to fit them."""

from typing import Any

from oruel.constraints.rewriting.disjoint import Disjointness
from oruel.constraints.rewriting.negations import NOTHING
from oruel.json_schema.keywords import map_schema
from oruel.json_schema.references import references_in

# Each schema is looked at several times, so that a look has to be quick.
LEVELS, MOST_COMPARISONS = 1, 1_000


def without_unfitting_references(schema: dict[str, Any]) -> dict[str, Any]:
    """An equivalent schema. References have to be plain."""
    disjointness = Disjointness(schema, levels=LEVELS, most=MOST_COMPARISONS)
    unfitting = {
        one for one in dict.fromkeys(references_in(schema)) if disjointness.proves({"$ref": one}, {}, beside={})
    }
    return (
        dict(map_schema(schema, lambda one: NOTHING if one.get("$ref") in unfitting else one)) if unfitting else schema
    )
