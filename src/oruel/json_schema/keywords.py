"""The keywords of JSON Schema that hold other schemas, and the walk over subschemas."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

# Keywords that hold a schema, several, and several by name. `dependencies` may also hold lists of names.
ONE = {"items", "additionalItems", "additionalProperties", "unevaluatedItems", "unevaluatedProperties", "contains"}
ONE |= {"not", "if", "then", "else", "propertyNames"}
SEVERAL = {"anyOf", "allOf", "oneOf", "prefixItems", "items"}
DEFINITIONS = {"$defs", "definitions"}
NAMED = {"properties", "patternProperties", "dependentSchemas", "dependencies"} | DEFINITIONS
# Names that references may use.
NAMES = {"$id", "id", "$anchor"}
# These describe a value, or the schema itself, and restrict no value.
TEXTS = {"title", "description", "$comment"}
ANNOTATIONS = TEXTS | {"default", "example", "examples", "deprecated", "readOnly"}
ANNOTATIONS |= {"writeOnly", "$schema", "$dynamicAnchor", "$recursiveAnchor", "$vocabulary"} | NAMES

# The keywords that restrict values in drafts 4 to 2020-12.
RESTRICTING = ONE | SEVERAL | (NAMED - DEFINITIONS) | {"$ref", "$dynamicRef", "$recursiveRef", "type", "enum", "const"}
RESTRICTING |= {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
RESTRICTING |= {"minLength", "maxLength", "pattern", "format"}
RESTRICTING |= {"minItems", "maxItems", "minContains", "maxContains", "uniqueItems"}
RESTRICTING |= {"minProperties", "maxProperties", "required", "dependentRequired", "dependencies"}
# These restrict values in draft 3, but in no later one.
ABOLISHED = {"disallow", "divisibleBy", "extends"}


def restricting(schema: Any) -> Any:
    """The schema without what restricts no value and holds no other schemas."""
    if not isinstance(schema, Mapping):
        return schema
    return {key: value for key, value in schema.items() if key in RESTRICTING or key in DEFINITIONS}


def subschemas(schema: Any) -> Iterator[Schema]:
    """The schema itself and all that lie in it, except those that are only true or false."""
    waiting = [schema]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            yield one
            waiting += reversed(list(inner_schemas(one)))


def inner_schemas(schema: Schema) -> Iterator[Any]:
    """The schemas directly inside; also true, false and what is no schema."""
    for key in ONE:
        if key in schema:
            yield schema[key]
    for key in SEVERAL:
        if isinstance(schema.get(key), list):
            yield from schema[key]
    for key in NAMED:
        if isinstance(schema.get(key), Mapping):
            yield from schema[key].values()


def map_schema(schema: Any, change: Callable[[Schema], Schema]) -> Any:
    """A copy in which `change` was applied to the schema and to all that lie in it."""
    if isinstance(schema, list):
        return [map_schema(one, change) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {key: _map_value(key, value, change) for key, value in change(schema).items()}


def _map_value(key: str, value: Any, change: Callable[[Schema], Schema]) -> Any:
    if key in NAMED and isinstance(value, Mapping):
        return {name: map_schema(one, change) for name, one in value.items()}
    return map_schema(value, change) if key in ONE | SEVERAL else value
