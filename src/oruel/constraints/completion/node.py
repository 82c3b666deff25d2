"""The subschemas that apply to one value together, and the variants that their alternatives leave open."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any

from oruel.constraints.completion.lazy_list import LazyList
from oruel.json_schema.keywords import Schema, subschemas
from oruel.json_schema.references import resolve_pointer

TYPES = ("integer", "number", "string", "boolean", "null", "array", "object")
MAX_VARIANTS = 32
# How many alternatives one variant may choose.
MAX_CHOICES = 24
# How deep contradictions are looked for.
MAX_DEPTH = 100
# How many nodes are expanded for one request.
MAX_EXPANSIONS = 4_000
# How many schemas are compared with values for one request.
MAX_CHECKS = 20_000
# How many nodes are kept, and how many of the keys of each.
MAX_KNOWN = 10_000
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
IN_PLACE = ("allOf", "anyOf", "oneOf")
ABSENT: Any = object()


@lru_cache(1024)
def matcher_of(pattern: str) -> re.Pattern[str] | None:
    """None for a pattern that Python doesn't read."""
    try:
        return re.compile(pattern, re.ASCII)
    except (re.error, OverflowError, RecursionError):
        return None


def key_matches(pattern: str, key: str) -> bool:
    found = matcher_of(pattern)
    return found is not None and found.search(key) is not None


class Nodes:
    """All nodes of one schema, whose references are plain."""

    def __init__(self, root: Schema, values: Callable[["Iterator[Variant]"], Iterator[Any]]) -> None:
        self.root = root
        self.values = values
        self.renew_budget()
        self.cuts = [0]
        self._known: dict[tuple[int, ...], Node] = {}
        self._patterns: dict[str, Schema] = {}
        self._exact: dict[int, tuple[Any, Schema]] = {}

    @cached_property
    def _anchors(self) -> dict[Any, Schema]:
        return {f"#{one['$dynamicAnchor']}": one for one in subschemas(self.root) if "$dynamicAnchor" in one}

    def node(self, schemas: Sequence[Any]) -> "Node":
        unique = {id(schema): schema for schema in schemas if schema is not True}
        key = tuple(unique)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            found = self._known[key] = Node(self, list(unique.values()))
        return found

    def renew_budget(self) -> None:
        """For another request."""
        self.expansions_left = MAX_EXPANSIONS
        self.checks_left = MAX_CHECKS

    def pattern_schema(self, pattern: str) -> Schema:
        """The schema of strings that match; the same one each time."""
        return self._patterns.setdefault(pattern, {"type": "string", "pattern": pattern})

    def exactly(self, value: Any) -> Schema:
        """The schema of this value only; the same one each time for the same part of the root."""
        if id(value) not in self._exact:
            self._exact[id(value)] = value, exact_schema(value)
        return self._exact[id(value)][1]

    def targets(self, schema: Schema) -> Iterator[Any]:
        """What applies together with `schema`: its reference and its allOf."""
        for keyword in REFERENCES:
            if isinstance(schema.get(keyword), str):
                target = self._anchors.get(schema[keyword])
                target = resolve_pointer(self.root, schema[keyword]) if target is None else target
                if target is not None:
                    yield target
        if isinstance(schema.get("allOf"), list):
            yield from schema["allOf"]


class Node:
    def __init__(self, nodes: Nodes, schemas: list[Any]) -> None:
        self.nodes = nodes
        self.schemas = schemas
        self.variants = LazyList(lambda: islice(self._choose(schemas, ABSENT), MAX_VARIANTS), nodes.cuts)
        self.samples = LazyList(lambda: nodes.values(iter(self.variants)), nodes.cuts)

    def also(self, *schemas: Any) -> "Node":
        return self.nodes.node([*self.schemas, *schemas])

    def variants_of(self, written: Any) -> Iterator["Variant"]:
        """Those that a value doesn't contradict which may still get more entries."""
        if self.is_simple:
            return iter(self.variants)
        return islice(self._choose(self.schemas, written), MAX_VARIANTS)

    @cached_property
    def is_simple(self) -> bool:
        """Whether there is only one variant."""
        flat = flatten(self.nodes, self.schemas, set())
        return flat is None or not flat[1]

    def _choose(self, schemas: list[Any], written: Any) -> Iterator["Variant"]:
        flat = flatten(self.nodes, schemas, set())
        if flat is not None:
            yield from self._combine(flat[0], flat[1], written, MAX_CHOICES)

    def _combine(self, facets: list[Schema], groups: list[list[Any]], written: Any, most: int) -> Iterator["Variant"]:
        if not groups:
            yield Variant(self.nodes, facets)
            return
        group, *others = groups
        for option in group if most > 0 else ():
            if self.nodes.expansions_left <= 0:
                return
            self.nodes.expansions_left -= 1
            flat = flatten(self.nodes, [option], {id(facet) for facet in facets})
            if flat is None or (written is not ABSENT and contradicts(self.nodes, option, written)):
                continue
            yield from self._combine(facets + flat[0], others + flat[1], written, most - 1)


def flatten(nodes: Nodes, schemas: Sequence[Any], seen: set[int]) -> tuple[list[Schema], list[list[Any]]] | None:
    """The schemas with all that applies together with them, and their groups of alternatives; None if one is false."""
    facets: list[Schema] = []
    groups: list[list[Any]] = []
    waiting = list(schemas)[::-1]
    while waiting:
        schema = waiting.pop()
        if schema is False:
            return None
        if not isinstance(schema, Mapping) or id(schema) in seen:
            continue
        seen.add(id(schema))
        facets.append(schema)
        waiting += list(nodes.targets(schema))[::-1]
        groups += [schema[key] for key in ("anyOf", "oneOf") if isinstance(schema.get(key), list)]
        groups += [list(map(nodes.exactly, values)) for values in containers_listed(schema)]
    return facets, groups


def containers_listed(schema: Schema) -> Iterator[list[Any]]:
    """The values of const and enum, if objects or arrays are among them."""
    for values in ([schema["const"]] if "const" in schema else [], schema.get("enum")):
        if isinstance(values, list) and any(isinstance(value, (dict, list)) for value in values):
            yield values


def exact_schema(value: Any) -> Schema:
    """A schema of this value only, written out for objects and arrays."""
    if isinstance(value, dict):
        properties = {key: exact_schema(one) for key, one in value.items()}
        return {"type": "object", "properties": properties, "required": list(value), "additionalProperties": False}
    if isinstance(value, list):
        exact = {"minItems": len(value), "maxItems": len(value)}
        return {"type": "array", "prefixItems": list(map(exact_schema, value))} | exact
    return {"const": value}


class Variant:
    """Subschemas that apply together, without alternatives."""

    def __init__(self, nodes: Nodes, facets: list[Schema]) -> None:
        self.nodes = nodes
        self.facets = facets
        self._children: dict[str, Node] = {}

    def given(self, keyword: str) -> Iterator[Any]:
        return (facet[keyword] for facet in self.facets if keyword in facet)

    def numbers(self, keyword: str) -> list[Any]:
        return [one for one in self.given(keyword) if isinstance(one, (int, float)) and not isinstance(one, bool)]

    def least(self, keyword: str) -> int:
        return int(max(self.numbers(keyword), default=0))

    def most(self, keyword: str, otherwise: int) -> int:
        return int(min(self.numbers(keyword), default=otherwise))

    @cached_property
    def types(self) -> list[str]:
        """A number may be an integer."""
        found = list(TYPES)
        for given in self.given("type"):
            allowed = {one for one in (given if isinstance(given, list) else [given]) if isinstance(one, str)}
            allowed |= {"integer"} if "number" in allowed else set()
            found = [one for one in found if one in allowed]
        return found

    @cached_property
    def named(self) -> dict[str, int]:
        """The named keys, each with its position: as the keywords and schemas stand, as in the grammar; then those that
        are only required.
        """
        kept, seen = set(map(id, self.facets)), set[int]()
        keys = [key for facet in self.facets for key in named_in(self.nodes, facet, kept, seen)]
        return {key: place for place, key in enumerate(dict.fromkeys([*keys, *self.required]))}

    @cached_property
    def required(self) -> list[str]:
        found = [key for given in self.given("required") if isinstance(given, list) for key in given]
        return [key for key in dict.fromkeys(found) if isinstance(key, str)]

    @cached_property
    def _needs(self) -> list[Mapping[str, Any]]:
        keywords = ("dependentRequired", "dependencies")
        return [given for keyword in keywords for given in self.given(keyword) if isinstance(given, Mapping)]

    def needed_with(self, key: str) -> Iterator[str]:
        """The keys that must accompany `key`."""
        for given in self._needs:
            if isinstance(given.get(key), list):
                yield from given[key]

    def child(self, key: str) -> "Node":
        if key not in self._children:
            if len(self._children) >= MAX_KNOWN:
                self._children.clear()
            schemas = [schema for facet in self.facets for schema in schemas_of_key(facet, key)]
            self._children[key] = self.nodes.node(schemas)
        return self._children[key]

    def item(self, place: int) -> "Node":
        return self.nodes.node([schema for facet in self.facets for schema in schemas_of_item(facet, place)])


def named_in(nodes: Nodes, schema: Any, kept: set[int], seen: set[int]) -> Iterator[str]:
    """The keys in `properties` of a schema and of those that apply with it, if they are kept and weren't seen."""
    if id(schema) not in kept or id(schema) in seen:
        return
    seen.add(id(schema))
    for keyword, value in schema.items():
        if keyword == "properties" and isinstance(value, Mapping):
            yield from value
        elif keyword in IN_PLACE and isinstance(value, list):
            for one in value:
                yield from named_in(nodes, one, kept, seen)
        elif keyword in REFERENCES:
            for one in nodes.targets({keyword: value}):
                yield from named_in(nodes, one, kept, seen)


def schemas_of_key(schema: Schema, key: str) -> Iterator[Any]:
    named, patterns = schema.get("properties"), schema.get("patternProperties")
    found = [named[key]] if isinstance(named, Mapping) and key in named else []
    if isinstance(patterns, Mapping):
        found += [one for pattern, one in patterns.items() if key_matches(pattern, key)]
    if not found:
        found = [schema[one] for one in ("additionalProperties",) if one in schema]
    yield from found


def schemas_of_item(schema: Schema, place: int) -> Iterator[Any]:
    prefix, others = schema.get("prefixItems"), schema.get("items")
    if isinstance(others, list):
        prefix, others = others, schema.get("additionalItems")
    if isinstance(prefix, list) and place < len(prefix):
        yield prefix[place]
    elif others is not None:
        yield others


def contradicts(nodes: Nodes, schema: Any, written: Any, depth: int = 0) -> bool:
    """Whether a value that may get more entries can't fit `schema` any more. Looks only at what is quickly seen."""
    if schema is False:
        return True
    nodes.checks_left -= 1
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH or nodes.checks_left < 0:
        return False
    if own_contradiction(schema, written):
        return True
    if any(contradicts(nodes, one, written, depth + 1) for one in nodes.targets(schema)):
        return True
    for keyword in ("anyOf", "oneOf"):
        options = schema.get(keyword)
        if isinstance(options, list) and all(contradicts(nodes, one, written, depth + 1) for one in options):
            return True
    if isinstance(written, dict):
        members = ((one, value) for key, value in written.items() for one in schemas_of_key(schema, key))
    elif isinstance(written, list):
        members = ((one, value) for place, value in enumerate(written) for one in schemas_of_item(schema, place))
    else:
        return False
    return any(contradicts(nodes, one, value, depth + 1) for one, value in members)


def own_contradiction(schema: Schema, written: Any) -> bool:
    if "type" in schema and not has_type(written, schema["type"]):
        return True
    if isinstance(written, (dict, list)):
        listed = [schema["const"]] if "const" in schema else schema.get("enum")
        if isinstance(listed, list) and not any(type(one) is type(written) for one in listed):
            return True
        return len(written) > count(schema, "maxProperties" if isinstance(written, dict) else "maxItems")
    if "const" in schema and not is_same(schema["const"], written):
        return True
    if isinstance(schema.get("enum"), list) and not any(is_same(one, written) for one in schema["enum"]):
        return True
    return bool(
        isinstance(written, str)
        and isinstance(schema.get("pattern"), str)
        and (pattern := matcher_of(schema["pattern"]))
        and not pattern.search(written)
    )


def count(schema: Schema, keyword: str) -> float:
    given = schema.get(keyword)
    return given if isinstance(given, (int, float)) else float("inf")


def is_same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: true isn't 1, but 1.0 is."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    return bool(one == other)


def has_type(value: Any, types: Any) -> bool:
    kinds = types if isinstance(types, list) else [types]
    return type_of(value) in kinds or ("number" in kinds and type_of(value) == "integer")


def type_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    return {float: "number", str: "string", list: "array", dict: "object"}[type(value)]
