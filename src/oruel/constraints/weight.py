"""Estimates the work of compiling a schema, before the library sees the schema."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from oruel.constraints.pattern import pattern_weight
from oruel.constraints.rewriting.formats import FORMATS
from oruel.errors import SchemaRefused
from oruel.json_schema.depth import depth_bound
from oruel.json_schema.keywords import ANNOTATIONS, DEFINITIONS, Schema, inner_schemas
from oruel.json_schema.references import resolve_pointer

# One unit is the compilation of one plain subschema: 20 to 40 µs. The weights below are fitted to llguidance 1.9.1.
MAX_WEIGHT, SECONDS_PER_UNIT = 5_000, 40e-6
# For all tools of a request together.
MAX_TOTAL_WEIGHT = 2 * MAX_WEIGHT
# Each level takes several stack frames of the library, which has no limit of its own and crashes at about 1,300.
MAX_NESTED = 800
# The library follows at most 2,000 alternatives at once, and each optional property adds four.
MAX_OPTIONAL = 450
# On one string together. From about 16 on, the library takes seconds to find out whether any string fits.
MAX_PATTERNS_PER_STRING = 8

# Forced text takes the library about 400 bytes of memory per character; other text is only read.
FORCED_PER_UNIT, READ_PER_UNIT = 5, 200
# Longer names count as forced text.
ORDINARY_NAME = 64
TEXT, ITEM, MEMBER = 1 / 8, 1 / 2, 1.3
LENGTHS = {"minLength", "maxLength"}
# Keywords whose schemas are merged with the schema around them, or count only where they are referenced.
APART = {"anyOf", "oneOf", "allOf"} | DEFINITIONS
FORMAT_PATTERNS, FORMAT_CHARACTERS = frozenset(FORMATS.values()), 110
RANGES = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")

# The number of alternatives after merging, and the weights by keyword.
Weights = dict[str, float]
Weighed = tuple[int, Weights]


def check_weight(*schemas: Any, most: int = MAX_WEIGHT) -> float:
    """The units of all schemas together. Raises SchemaRefused for more than `most`."""
    weights = weights_of(*schemas)
    total = sum(weights.values())
    if total > most:
        heaviest = max(weights, key=lambda keyword: weights[keyword])
        raise SchemaRefused(
            f"it takes too much work to compile: {total:,.0f} units, of which {most:,} are allowed, mostly for "
            f"{heaviest}. Use fewer or simpler ones"
        )
    return total


def weights_of(*schemas: Any) -> Weights:
    """The weights of all schemas together, in units, by keyword. Raises SchemaRefused for a schema that can't be
    weighed.
    """
    weights: Weights = {}
    for schema in schemas:
        check_nesting(schema)
        try:
            add_weights(weights, Weigher(schema).weights())
        except RecursionError as error:
            raise SchemaRefused("its references are merged with others in too long a chain") from error
    return weights


def check_nesting(schema: Any) -> None:
    deep = depth_bound(schema)
    if deep > MAX_NESTED:
        raise SchemaRefused(
            f"its subschemas and references may nest {deep:,} levels deep, of which {MAX_NESTED} are allowed: use "
            "fewer references, or nest less"
        )


class Weigher:
    """Weighs one schema. A referenced schema counts once. But if a reference is merged with keywords beside it, the
    library copies its target, and each copy counts.
    """

    def __init__(self, root: Any) -> None:
        self._root = root
        self._targets: list[Any] = [root]
        self._known: dict[int, Weighed] = {}

    def weights(self) -> Weights:
        """In units, by keyword. Raises RecursionError for long chains of merged references."""
        weights: Weights = {}
        seen = set[int]()
        for target in self._targets:
            if id(target) not in seen:
                seen.add(id(target))
                add_weights(weights, self._weighed(target)[1])
        return weights

    def _weighed(self, schema: Any) -> Weighed:
        if not isinstance(schema, Mapping):
            return 1, {"subschemas": TEXT}
        if id(schema) not in self._known:
            # A cycle of references adds nothing more.
            self._known[id(schema)] = 1, {}
            self._known[id(schema)] = merge_weights([self._alone(schema), *self._merged(schema)])
        return self._known[id(schema)]

    def _alone(self, schema: Schema) -> Weighed:
        """The weight of the schema's own keywords and of its members."""
        weights = dict(own_weights(schema))
        if refers(schema):
            self._targets.append(self._target(schema))
        for inner in inner_schemas({key: value for key, value in schema.items() if key not in APART}):
            add_weights(weights, self._weighed(inner)[1])
        return 1, weights

    def _merged(self, schema: Schema) -> Iterator[Weighed]:
        """The weights of what is merged with the schema."""
        for keyword in ("anyOf", "oneOf"):
            if isinstance(schema.get(keyword), list):
                yield self._either(schema[keyword])
        if refers(schema) and not schema.keys() <= ANNOTATIONS | DEFINITIONS | {"$ref"}:
            yield self._weighed(self._target(schema))
        for one in schema["allOf"] if isinstance(schema.get("allOf"), list) else []:
            yield self._weighed(self._target(one) if refers(one) else one)

    def _target(self, schema: Schema) -> Any:
        return resolve_pointer(self._root, schema["$ref"])

    def _either(self, options: Iterable[Any]) -> Weighed:
        weights: Weights = {}
        count = 0
        for alternatives, of_option in map(self._weighed, options):
            count += alternatives
            add_weights(weights, of_option)
        return count, weights


def merge_weights(groups: Sequence[Weighed]) -> Weighed:
    """The product of alternatives: each combination takes one from each group."""
    alternatives = min(math.prod(count for count, _ in groups), MAX_WEIGHT)
    weights: Weights = {}
    for count, of_group in groups:
        copies = max(1.0, alternatives / max(1, count))
        for keyword, weight in of_group.items():
            add_weights(
                weights, {keyword if copies == 1 else "combinations of anyOf, oneOf and allOf": weight * copies}
            )
    return alternatives, weights


def add_weights(weights: Weights, more: Weights) -> None:
    for keyword, weight in more.items():
        weights[keyword] = weights.get(keyword, 0) + weight


def refers(schema: Any) -> bool:
    return isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str)


def own_weights(schema: Schema) -> Iterator[tuple[str, float]]:
    yield "subschemas", 1
    for keyword in ("enum", "const"):
        if keyword in schema:
            yield keyword, values_weight(schema[keyword], is_listed=keyword == "enum")
    yield "properties", members_weight(schema)
    yield "minProperties", counted_weight(schema)
    yield "patternProperties", patterns_weight(schema)
    yield "pattern and format", text_weight(schema)
    yield "minimum and maximum", sum(digits(schema[keyword]) for keyword in RANGES if keyword in schema) * 3 / 4
    yield "multipleOf", divisor_weight(schema.get("multipleOf"))


def values_weight(value: Any, *, is_listed: bool) -> float:
    """The weight of an enumerated or constant value."""
    weight = 0.0
    per_unit = READ_PER_UNIT if is_listed else FORCED_PER_UNIT
    longest = 0
    waiting: list[tuple[Any, float]] = [(one, TEXT) for one in value] if is_listed and isinstance(value, list) else []
    waiting += [] if is_listed else [(value, TEXT)]
    for one, base in waiting:
        weight += base + (len(one) / per_unit if isinstance(one, str) else 0)
        longest = max(longest, len(one) if isinstance(one, str) else 0)
        if isinstance(one, list):
            waiting += [(inner, ITEM) for inner in one]
        elif isinstance(one, Mapping):
            waiting += [(inner, MEMBER) for inner in one.values()]
            weight += sum(map(len, one)) / per_unit + names_weight(len(one))
    return weight + (longest / FORCED_PER_UNIT if is_listed else 0)


def members_weight(schema: Schema) -> float:
    """Raises SchemaRefused for too many optional properties."""
    properties = set(schema["properties"]) if isinstance(schema.get("properties"), Mapping) else set[str]()
    listed = schema["required"] if isinstance(schema.get("required"), list) else []
    required = {name for name in listed if isinstance(name, str)}
    optional = len(properties - required)
    if optional > MAX_OPTIONAL:
        raise SchemaRefused(
            f"an object in it has {optional:,} optional properties, of which {MAX_OPTIONAL} are allowed: require the "
            "others, or leave them out"
        )
    names = properties | required
    forced = sum(len(name) for name in names if len(name) > ORDINARY_NAME)
    text = sum(map(len, names)) / READ_PER_UNIT + forced / FORCED_PER_UNIT
    return len(required - properties) + text + names_weight(len(names))


def names_weight(count: int) -> float:
    return count**2 / 2_500


def counted_weight(schema: Schema) -> float:
    """For at least one of several optional properties: the library writes one copy per property that may come first."""
    properties = schema.get("properties")
    if schema.get("minProperties") != 1 or not isinstance(properties, Mapping):
        return 0
    return 2.0 * len(properties) ** 2


def patterns_weight(schema: Schema) -> float:
    """Each pattern is compared with every other."""
    patterns = schema.get("patternProperties")
    return len(patterns) ** 2 + sum(map(known_weight, patterns)) if isinstance(patterns, Mapping) else 0


def text_weight(schema: Schema) -> float:
    """Raises SchemaRefused for too many patterns on one string."""
    is_counted = bool(LENGTHS & schema.keys())
    weight = float(is_counted)
    if isinstance(schema.get("pattern"), str):
        weight += known_weight(schema["pattern"]) + 2 * is_counted
    every = schema["allOf"] if isinstance(schema.get("allOf"), list) else []
    count = sum(1 for one in every if isinstance(one, Mapping) and "pattern" in one)
    if count > MAX_PATTERNS_PER_STRING:
        raise SchemaRefused(
            f"one of its strings has {count} patterns, of which {MAX_PATTERNS_PER_STRING} are allowed: use fewer"
        )
    return weight


def known_weight(pattern: str) -> float:
    """Formats may occur often, and the library remembers patterns."""
    return 1 + len(pattern) / FORMAT_CHARACTERS if pattern in FORMAT_PATTERNS else pattern_weight(pattern)


def digits(number: Any) -> int:
    return len(re.sub(r"[^0-9]", "", str(number))) if isinstance(number, (int, float)) else 0


def divisor_weight(divisor: Any) -> float:
    """The library counts up to the divisor, except for powers of ten."""
    if isinstance(divisor, bool) or not isinstance(divisor, (int, float)) or not divisor:
        return 0
    coefficient = int("".join(map(str, Decimal(str(divisor)).normalize().as_tuple().digits)) or 0)
    return coefficient / 4
