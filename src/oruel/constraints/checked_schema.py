"""The schemas that need a DocumentCheck, as they cross to the engine."""

import json

from oruel.constraints.completion.checked import checked_keywords
from oruel.constraints.rewriting.formats import format_as_pattern
from oruel.json_schema.keywords import Schema, map_schema, restricting
from oruel.json_schema.references import plain_references


def checked_schema(schema: Schema, enforced: Schema) -> str:
    """The schema as JSON text, with formats as patterns and without words that restrict nothing; empty if a grammar can
    hold all of it. `enforced` is the rewritten schema.
    """
    if not checked_keywords(enforced):
        return ""
    plain = dict(map_schema(plain_references(schema), lambda one: format_as_pattern(restricting(one))))
    return json.dumps({**plain, "$schema": schema["$schema"]} if "$schema" in schema else plain)
