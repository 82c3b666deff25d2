"""The parts of generated schemas: values without members of their own, each with an example that fits it."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bench.schema_words import FORMATS, HEADS, LOOKAROUNDS, NAMES, PATTERNS, SENTENCES, TAILS, VALUES, VENDOR

Schema = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """`example` is a short value that fits `schema`."""

    schema: Schema
    example: Any


@dataclass(frozen=True, slots=True)
class Style:
    """How the schemas of one kind are written. Numbers between 0 and 1 are shares: of values that have a description
    (`described`), another tool's keyword (`vendor`), or may be null (`nullable`); of objects that are `closed` to
    unknown keys, or have a rule about which members go together (`ruled`); of members that are `required`.
    """

    draft: int = 7
    described: float = 0.5
    vendor: float = 0.0
    nullable: float = 0.05
    closed: float = 0.4
    ruled: float = 0.15
    required: float = 0.3
    nested: float = 0.25
    depth: int = 3
    snake: bool = False

    @property
    def definitions(self) -> str:
        return "$defs" if self.draft == 2020 else "definitions"

    @property
    def uri(self) -> str:
        if self.draft == 2020:
            return "https://json-schema.org/draft/2020-12/schema"
        return f"http://json-schema.org/draft-0{self.draft}/schema#"


Leaf = Callable[[random.Random, Style], Part]


def weighted(chance: random.Random, weights: Mapping[T, float]) -> T:
    return chance.choices(list(weights), list(weights.values()))[0]


def some_of(
    chance: random.Random, weights: Mapping[T, float], share: float, common: float = math.inf
) -> dict[T, float]:
    """What one author uses: all of the weight `common` or more, and a share of the others."""
    return {one: weight for one, weight in weights.items() if weight >= common or chance.random() < share}


def names(chance: random.Random, count: int, style: Style) -> list[str]:
    """Distinct names of members: a word or two, and a number where those are exhausted."""
    found: dict[str, None] = {}
    while len(found) < count:
        words = [chance.choice(NAMES)]
        if chance.random() < 0.6 or count > 60:
            words.insert(0, chance.choice(HEADS + NAMES))
        if chance.random() < 0.2:
            words.append(chance.choice(TAILS).lower())
        found[spelled(words, style)] = None
    return list(found)


def spelled(words: Sequence[str], style: Style) -> str:
    if style.snake:
        return "_".join(words)
    return words[0] + "".join(word.capitalize() for word in words[1:])


def sentence(chance: random.Random) -> str:
    pattern = chance.choice(SENTENCES)
    return pattern.format(*chance.choices(NAMES, k=pattern.count("{}")))


def leaf(chance: random.Random, style: Style, kinds: Mapping[Leaf, float]) -> Part:
    """A string, a number, a list of strings, …"""
    part = weighted(chance, kinds)(chance, style)
    if chance.random() < style.nullable and isinstance(part.schema.get("type"), str) and "enum" not in part.schema:
        part = Part({**part.schema, "type": [part.schema["type"], "null"]}, None)
    return annotated(chance, style, part)


def annotated(chance: random.Random, style: Style, part: Part) -> Part:
    texts: Schema = {}
    if chance.random() < style.described:
        texts["description"] = sentence(chance)
    if chance.random() < style.described / 4:
        texts["default"] = part.example
    if chance.random() < style.vendor:
        keyword = chance.choice(list(VENDOR))
        texts[keyword] = chance.choice(VENDOR[keyword])
    return Part({**part.schema, **texts}, part.example)


def plain_text(chance: random.Random, style: Style) -> Part:
    return Part({"type": "string"}, "x")


def sized_text(chance: random.Random, style: Style) -> Part:
    least = chance.choice([None, 1, 1, 2, 3])
    most = chance.choice([None, 20, 64, 128, 255, 255, 1024, 4096])
    sizes = {"minLength": least, "maxLength": most}
    return Part(
        {"type": "string", **{keyword: size for keyword, size in sizes.items() if size is not None}}, "x" * (least or 0)
    )


def flag(chance: random.Random, style: Style) -> Part:
    return Part({"type": "boolean"}, chance.random() < 0.5)


def integer(chance: random.Random, style: Style) -> Part:
    return bounded_number(chance, "integer", chance.choice([0, 0, 0, 1, 1, -1, -90, 1000]))


def number(chance: random.Random, style: Style) -> Part:
    return bounded_number(chance, "number", chance.choice([0, 0, 0.5, -180, -1]))


def bounded_number(chance: random.Random, kind: str, least: float) -> Part:
    schema: Schema = {"type": kind}
    if chance.random() < 0.55:
        schema["minimum"] = least
    if chance.random() < 0.35:
        schema["maximum"] = least + chance.choice([1, 5, 99, 100, 65535, 2147483647])
    if chance.random() < 0.03:
        schema["multipleOf"] = chance.choice([1, 5, 10] if kind == "integer" else [0.5, 0.25])
        return Part({**schema, "minimum": 0, "maximum": 1000}, 0)
    return Part(schema, least)


def choice_of_values(chance: random.Random, style: Style) -> Part:
    values = chance.sample(VALUES, chance.choice([1, 2, 2, 3, 3, 4, 5, 6, 8, 12, 20]))
    return Part({**({"type": "string"} if chance.random() < 0.7 else {}), "enum": values}, min(values, key=len))


def constant(chance: random.Random, style: Style) -> Part:
    value = chance.choice([*VALUES[:20], 1, 2, True])
    return Part({"enum": [value]} if style.draft == 4 else {"const": value}, value)


def patterned(chance: random.Random, style: Style) -> Part:
    pattern, texts = chance.choice(list(PATTERNS.items()))
    lengths: Schema = {"maxLength": 255} if chance.random() < 0.15 else {}
    return Part({"type": "string", "pattern": pattern, **lengths}, min(texts, key=len))


def lookaround(chance: random.Random, style: Style) -> Part:
    pattern, texts = chance.choice(list(LOOKAROUNDS.items()))
    return Part({"type": "string", "pattern": pattern}, min(texts, key=len))


def formatted(chance: random.Random, style: Style) -> Part:
    often = {"date-time": 9, "uri": 9, "email": 3, "uuid": 3, "date": 3, "ipv4": 1.5, "ipv6": 1, "hostname": 1.5}
    name = weighted(chance, {**often, "time": 0.7, "uri-reference": 0.7, "regex": 0.6})
    return Part({"type": "string", "format": name}, min(FORMATS[name], key=len))


def list_of_values(chance: random.Random, style: Style) -> Part:
    kinds = {plain_text: 6.0, choice_of_values: 2.5, patterned: 1.0, formatted: 0.7, integer: 1.0, sized_text: 1.0}
    items = weighted(chance, kinds)(chance, style)
    schema: Schema = {"type": "array", "items": items.schema}
    least = chance.choice([0, 0, 0, 1, 1, 2])
    if least:
        schema["minItems"] = least
    if chance.random() < 0.15:
        schema["maxItems"] = max(least, 1) + chance.choice([0, 1, 4, 9, 99])
    return Part(schema, [items.example] * least)


def set_of_values(chance: random.Random, style: Style) -> Part:
    """A list in which each value stands once."""
    kinds = {plain_text: 4.0, choice_of_values: 4.0, patterned: 1.0, integer: 0.7}
    items = weighted(chance, kinds)(chance, style)
    different = different_examples(items)
    least = chance.choice([0, 1, 1, min(2, len(different))])
    schema = {"type": "array", "items": items.schema, "uniqueItems": True, **({"minItems": least} if least else {})}
    return Part(schema, different[:least])


def different_examples(items: Part) -> list[Any]:
    """Values that fit and differ: two if they are easily found."""
    if "enum" in items.schema:
        return list(items.schema["enum"])
    if "pattern" in items.schema:
        return list(PATTERNS[items.schema["pattern"]])
    if items.schema == {"type": "string"}:
        return ["x", "xx"]
    return [items.example]


def text_or_list(chance: random.Random, style: Style) -> Part:
    """The commonest use of oneOf and anyOf: one text, or several."""
    several: Schema = {"type": "array", "items": {"type": "string"}}
    if chance.random() < 0.4:
        several |= {"uniqueItems": True, "minItems": 1}
    return Part({chance.choice(["oneOf", "anyOf"]): [{"type": "string"}, several]}, "")


def value_or_null(chance: random.Random, style: Style) -> Part:
    value = weighted(chance, {plain_text: 2.0, integer: 1.0, formatted: 1.0})(chance, style)
    return Part({chance.choice(["anyOf", "anyOf", "oneOf"]): [value.schema, {"type": "null"}]}, None)


def word_or_measure(chance: random.Random, style: Style) -> Part:
    """Alternatives of one type, of which oneOf wants exactly one."""
    words = chance.sample(VALUES, 3)
    measure = {"type": "string", "pattern": "^[0-9]+(px|em|%)$"}
    return Part({"oneOf": [{"type": "string", "enum": words}, measure]}, words[0])


def excluded_value(chance: random.Random, style: Style) -> Part:
    words = chance.sample(VALUES, chance.choice([1, 2, 3]))
    return Part({"type": "string", "not": {"enum": words}}, "x")


def anything(chance: random.Random, style: Style) -> Part:
    return Part({}, None)


def pair(chance: random.Random, style: Style) -> Part:
    """A fixed list: what JSON Schema calls a tuple."""
    values = [number(chance, style) for _ in range(2)]
    places = [value.schema for value in values]
    if style.draft == 2020:
        schema: Schema = {"type": "array", "prefixItems": places, "items": False, "minItems": 2}
    else:
        schema = {"type": "array", "items": places, "additionalItems": False, "minItems": 2}
    return Part(schema, [value.example for value in values])


# As often as such schemas have them.
LEAVES: dict[Leaf, float] = {
    plain_text: 34,
    flag: 14,
    integer: 9,
    choice_of_values: 9,
    list_of_values: 7,
    formatted: 5,
    sized_text: 5,
    patterned: 4,
    number: 4,
    set_of_values: 3,
    text_or_list: 2,
    value_or_null: 1.5,
    anything: 1,
    constant: 1,
    pair: 0.7,
    lookaround: 0.9,
    word_or_measure: 0.7,
    excluded_value: 0.6,
}
