"""References within a schema. `plain_references` resolves names once; afterwards every $ref is a JSON Pointer."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, specification_with

from oruel.errors import SchemaRefused
from oruel.json_schema.keywords import NAMES, Schema, inner_schemas, map_schema, subschemas

MOST_SUBSCHEMAS = 8_000
# The characters of a URI reference (RFC 3986).
URI = re.compile(r"([A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
# Those of them that a fragment may contain unencoded.
SAFE = "~!$&'()*+,;=:@?"


def plain_references(schema: Schema) -> Schema:
    """The same schema, in which each $ref is the JSON Pointer of its target, and no $id or $anchor is left.

    Raises SchemaRefused for a reference to nothing in the schema, and for more than MOST_SUBSCHEMAS.
    """
    references = list(references_in(schema))
    is_named = any(NAMES & one.keys() for one in subschemas(schema))
    if all(map(is_plain, references)) and not is_named:
        return schema
    if sum(1 for _ in subschemas(schema)) > MOST_SUBSCHEMAS:
        raise SchemaRefused(f"it has more than {MOST_SUBSCHEMAS:,} subschemas: use fewer")
    if references:
        schema = resolve_names(schema)
    return dict(map_schema(schema, without_names))


def resolve_names(schema: Schema) -> Schema:
    try:
        return _Plainer(schema).schema
    except SchemaRefused:
        raise
    except RecursionError as error:
        raise SchemaRefused("its subschemas nest too deep for references by name: nest less") from error
    except Exception as error:
        # The library takes it for granted that each keyword has the type that the standard says.
        raise SchemaRefused("its references can't be resolved, since it is no valid JSON Schema") from error


def references_in(schema: Schema) -> Iterator[str]:
    return (one["$ref"] for one in subschemas(schema) if isinstance(one.get("$ref"), str))


def is_plain(reference: str) -> bool:
    return (reference == "#" or reference.startswith("#/")) and bool(URI.fullmatch(reference))


def without_names(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key not in NAMES}


def resolve_pointer(schema: Any, reference: Any) -> Any:
    """The target of a plain reference; None if there is none, or if the reference is not plain (RFC 6901)."""
    if not isinstance(reference, str) or (reference != "#" and not reference.startswith("#/")):
        return None
    found = schema
    for part in reference[1:].split("/")[1:]:
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(found, list):
            found = found[int(key)] if key.isdecimal() and int(key) < len(found) else None
        else:
            found = found.get(key) if isinstance(found, Mapping) else None
    return found


class _Plainer:
    """Rewrites the references of a copy. Names are resolved as `referencing` does it, for the draft that the schema
    says it is of.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema: dict[str, Any] = json.loads(json.dumps(map_schema(schema, without_invalid_names)))
        self._parents = parents(self.schema)
        self._specification = specification_with(str(self.schema.get("$schema", "")), default=DRAFT202012)
        root = self._specification.create_resource(self.schema)
        base = root.id() or ""
        registry: Registry[Any] = Registry().with_resource(base, root).crawl()
        self._waiting: list[tuple[Any, Any]] = [(self.schema, registry.resolver(base))]
        self._seen: set[int] = set()
        for one, resolver in self._waiting:
            if isinstance(one, dict) and id(one) not in self._seen:
                self._seen.add(id(one))
                self._visit(one, resolver)

    def _visit(self, schema: dict[str, Any], resolver: Any) -> None:
        for inner in inner_schemas(schema):
            if isinstance(inner, dict):
                inside = resolver.in_subresource(self._specification.create_resource(inner))
                self._waiting.append((inner, inside))
        if isinstance(schema.get("$ref"), str):
            self._rewrite(schema, resolver)
        if len(self._waiting) > MOST_SUBSCHEMAS:
            raise SchemaRefused(f"it has more than {MOST_SUBSCHEMAS:,} subschemas: use fewer")

    def _rewrite(self, schema: dict[str, Any], resolver: Any) -> None:
        try:
            target = resolver.lookup(schema["$ref"])
            if isinstance(target.contents, bool):
                # A value that stands in many places has no pointer of its own.
                del schema["$ref"]
                schema |= {} if target.contents else {"not": {}}
                return
            schema["$ref"] = self._pointer_to(target.contents)
        except (Unresolvable, ValueError, LookupError) as error:
            raise SchemaRefused(f"its $ref {json.dumps(schema['$ref'][:200])} refers to nothing in it") from error
        self._waiting.append((target.contents, target.resolver))

    def _pointer_to(self, contents: Any) -> str:
        """Raises KeyError for a value that is neither an object nor an array, since it could stand in many places."""
        parts: list[str] = []
        place = id(contents)
        while place != id(self.schema):
            place, key = self._parents[place]
            parts.append("/" + quote(key.replace("~", "~0").replace("/", "~1"), safe=SAFE))
        return "#" + "".join(reversed(parts))


def parents(schema: Any) -> dict[int, tuple[int, str]]:
    """For each object and array inside, by id(): the id() of the one that holds it, and its key or index there."""
    found: dict[int, tuple[int, str]] = {}
    waiting = [schema]
    for value in waiting:
        members = enumerate(value) if isinstance(value, list) else value.items()
        for key, member in members:
            if isinstance(member, (dict, list)):
                found[id(member)] = id(value), str(key)
                waiting.append(member)
    return found


def without_invalid_names(schema: Schema) -> Schema:
    """An invalid name can't be referred to, so it restricts nothing."""
    return {key: value for key, value in schema.items() if key not in NAMES | {"$schema"} or is_uri(value)}


def is_uri(value: Any) -> bool:
    if not isinstance(value, str) or not URI.fullmatch(value):
        return False
    try:
        urlsplit(value)
    except ValueError:
        return False
    return True
