"""Objects of generated schemas: members, definitions that they refer to, and rules about which go together."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.schema_parts import (
    LEAVES,
    Part,
    Schema,
    Style,
    annotated,
    choice_of_values,
    leaf,
    list_of_values,
    names,
    plain_text,
    some_of,
    weighted,
)
from bench.schema_words import KEY_PATTERNS, VALUES

# The most characters of an example, so that a document of some hundred tokens fits each schema.
LONGEST_EXAMPLE = 600


@dataclass
class Members:
    """What an object is made of, before its schema is written. `example` has the required members at least, and
    `keywords` hold for it.
    """

    parts: dict[str, Part]
    required: list[str]
    example: Schema
    keywords: Schema = field(default_factory=dict)
    closed: bool = False

    def require(self, name: str) -> None:
        if name not in self.required:
            self.required.append(name)
        self.example[name] = self.parts[name].example

    @property
    def optional(self) -> list[str]:
        return [name for name in self.parts if name not in self.example]


# Takes the number of members, how many levels may nest, and the characters of the example.
Nested = Callable[[int, int, int], Part]


class ObjectMaker:
    """Makes the objects of one schema. `definitions` are those that some of them refer to, by name."""

    def __init__(self, chance: random.Random, style: Style, *, shared: float = 0.0, circular: bool = False) -> None:
        self._chance, self._style = chance, style
        self._shared, self._circular = shared, circular
        self._leaves = some_of(chance, LEAVES, 0.3, common=7)
        self._rules = some_of(chance, RULES, 0.4)
        kinds: dict[Nested, float] = {
            self.object_of: 5,
            self.list_of_objects: 2,
            self.map_of_objects: 0.7,
            self.map_by_patterns: 0.5,
            self.tagged_alternatives: 0.5,
            self.object_or_text: 0.4,
        }
        self._kinds = some_of(chance, kinds, 0.35, common=2)
        self.definitions: dict[str, Part] = {}
        self._unfinished: set[str] = set()

    def leaf(self) -> Part:
        return leaf(self._chance, self._style, self._leaves)

    def root(self, count: int) -> Part:
        """A whole schema of about `count` members."""
        part = self.object_of(count, self._style.depth, LONGEST_EXAMPLE)
        head: Schema = {"$schema": self._style.uri}
        defined = {name: one.schema for name, one in self.definitions.items()}
        return Part({**head, **part.schema, **({self._style.definitions: defined} if defined else {})}, part.example)

    def object_of(self, count: int, depth: int, room: int) -> Part:
        """An object with `count` members in all, counting those of its members; its example has about `room`
        characters.
        """
        parts: dict[str, Part] = {}
        wanted = names(self._chance, count, self._style)
        left = count
        while left > 0:
            name = wanted[len(parts)]
            if depth and left > 2 and self._chance.random() < self._style.nested:
                size = self._chance.randint(2, max(2, min(left - 1, 3 * count // 5)))
                parts[name] = self.nested(size, depth - 1, room // 3)
                left -= size
            else:
                parts[name] = self.leaf()
            left -= 1
        return self.finished(parts, room)

    def nested(self, count: int, depth: int, room: int) -> Part:
        """A value that has members somewhere: an object, a list of them, a map, alternatives, or a reference."""
        if self._chance.random() < self._shared:
            return self.reference(count, depth, room)
        return annotated(self._chance, self._style, weighted(self._chance, self._kinds)(count, depth, room))

    def finished(self, parts: dict[str, Part], room: int) -> Part:
        members = Members(parts, [], {}, closed=self._chance.random() < self._style.closed)
        for name in parts:
            fits = len(json.dumps({**members.example, name: parts[name].example})) < room
            if fits and self._chance.random() < self._style.required:
                members.require(name)
        if self._rules and self._chance.random() < self._style.ruled:
            weighted(self._chance, self._rules)(self._chance, self._style, members)
        schema: Schema = {"type": "object", "properties": {name: part.schema for name, part in members.parts.items()}}
        if members.required:
            schema["required"] = members.required
        schema |= members.keywords
        if members.closed:
            schema["additionalProperties"] = False
        return Part(schema, members.example)

    def reference(self, count: int, depth: int, room: int) -> Part:
        """To a definition that exists, or to a new one."""
        known = [
            name
            for name, part in self.definitions.items()
            if name not in self._unfinished and len(json.dumps(part.example)) < max(room, 60)
        ]
        if self._circular:
            self._circular = False
            name = self.tree()
        elif known and self._chance.random() < 0.6:
            name = self._chance.choice(known)
        else:
            name = self.new_name()
            self._unfinished.add(name)
            self.definitions[name] = self.object_of(count, depth, min(room, 120))
            self._unfinished.remove(name)
        return self.referring(name)

    def referring(self, name: str) -> Part:
        target = Part({"$ref": f"#/{self._style.definitions}/{name}"}, self.definitions[name].example)
        kind = self._chance.random()
        if kind < 0.2:
            return Part({"type": "array", "items": target.schema}, [])
        if kind < 0.3:
            return Part({"allOf": [target.schema], "description": "As everywhere."}, target.example)
        # Before 2019, keywords next to a $ref were ignored, but people wrote them anyway.
        return annotated(self._chance, self._style, target)

    def tree(self) -> str:
        """A definition that refers to itself, with keywords next to the $ref."""
        name = self.new_name()
        link = {"$ref": f"#/{self._style.definitions}/{name}"}
        sibling: Schema = {"minProperties": 1} if self._style.draft == 2020 else {"description": "The next one."}
        self.definitions[name] = Part(
            {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "minLength": 1},
                    "children": {"type": "array", "items": link},
                    "parent": {**link, **sibling},
                    "fallback": {"anyOf": [link, {"type": "null"}]},
                },
                "required": ["name"],
            },
            {"name": "x"},
        )
        return name

    def new_name(self) -> str:
        return next(
            name
            for name in names(self._chance, 99, self._style)
            if name not in self.definitions.keys() | self._unfinished
        )

    def list_of_objects(self, count: int, depth: int, room: int) -> Part:
        item = self.object_of(count, depth, room)
        least = 1 if self._chance.random() < 0.25 else 0
        schema: Schema = {"type": "array", "items": item.schema, **({"minItems": least} if least else {})}
        if self._chance.random() < 0.15:
            schema["uniqueItems"] = True
        return Part(schema, [item.example] * least)

    def map_of_objects(self, count: int, depth: int, room: int) -> Part:
        """Keys that the schema doesn't name."""
        value = (
            self.object_of(count, depth, room) if self._chance.random() < 0.5 else plain_text(self._chance, self._style)
        )
        schema: Schema = {"type": "object", "additionalProperties": value.schema}
        if self._chance.random() < 0.2:
            return Part({**schema, "minProperties": 1}, {"x": value.example})
        if self._chance.random() < 0.1:
            schema["maxProperties"] = self._chance.choice([5, 10, 50])
        if self._chance.random() < 0.3:
            schema["propertyNames"] = {"pattern": "^[A-Za-z_]+$"}
        return Part(schema, {})

    def map_by_patterns(self, count: int, depth: int, room: int) -> Part:
        pattern, keys = self._chance.choice(list(KEY_PATTERNS.items()))
        value = self.object_of(count, depth, room) if self._chance.random() < 0.5 else self.leaf()
        schema: Schema = {"type": "object", "patternProperties": {pattern: value.schema}}
        if self._chance.random() < 0.7:
            schema["additionalProperties"] = False
        if self._chance.random() < 0.2:
            return Part({**schema, "minProperties": 1}, {keys[0]: value.example})
        return Part(schema, {})

    def tagged_alternatives(self, count: int, depth: int, room: int) -> Part:
        """oneOf or anyOf whose alternatives differ in the value of one member."""
        tag = self._chance.choice(["type", "kind", "provider", "strategy"])
        values = self._chance.sample(VALUES, self._chance.choice([2, 2, 3, 4]))
        alternatives = [self.tagged(tag, value, max(1, count // len(values)), room) for value in values]
        keyword = self._chance.choice(["oneOf", "oneOf", "anyOf"])
        return Part({keyword: [part.schema for part in alternatives]}, alternatives[0].example)

    def tagged(self, tag: str, value: str, count: int, room: int) -> Part:
        others = [name for name in names(self._chance, count + 1, self._style) if name != tag][:count]
        parts = {tag: Part({"enum": [value]} if self._style.draft == 4 else {"const": value}, value)}
        parts |= {name: self.leaf() for name in others}
        made = self.finished(parts, room)
        return Part(
            {**made.schema, "required": sorted({tag, *made.schema.get("required", ())})}, {**made.example, tag: value}
        )

    def object_or_text(self, count: int, depth: int, room: int) -> Part:
        keyword = self._chance.choice(["oneOf", "anyOf"])
        return Part({keyword: [{"type": "string"}, self.object_of(count, depth, room).schema]}, "x")


Rule = Callable[[random.Random, Style, Members], None]


def if_then(chance: random.Random, style: Style, members: Members) -> None:
    """A value of one member decides which others are required."""
    decider = chance.choice([name for name in ("type", "mode", "kind") if name not in members.parts] or ["variant"])
    values = chance.sample(VALUES, 3)
    members.parts[decider] = Part({"type": "string", "enum": values}, values[1])
    members.require(decider)
    needed = members.optional[:2]
    if style.draft == 4 or not needed:
        return
    condition = {"properties": {decider: {"const": values[0]}}, "required": [decider]}
    members.keywords |= {"if": condition, "then": {"required": needed[:1]}}
    if len(needed) == 2 and chance.random() < 0.5:
        members.keywords["else"] = {"required": needed[1:]}
        members.example[needed[1]] = members.parts[needed[1]].example


def dependent(chance: random.Random, style: Style, members: Members) -> None:
    if len(members.optional) < 2:
        return
    first, *others = chance.sample(members.optional, min(3, len(members.optional)))
    keyword = "dependentRequired" if style.draft == 2020 else "dependencies"
    members.keywords[keyword] = {first: others}
    if style.draft != 2020 and chance.random() < 0.3:
        members.keywords[keyword] = {first: {"required": others[:1]}}


def one_of_several(chance: random.Random, style: Style, members: Members) -> None:
    """Exactly one, or at least one, of some members."""
    several = members.optional[: chance.choice([2, 2, 3])]
    if len(several) < 2:
        return
    members.keywords[chance.choice(["oneOf", "oneOf", "anyOf"])] = [{"required": [name]} for name in several]
    members.example[several[0]] = members.parts[several[0]].example


def not_together(chance: random.Random, style: Style, members: Members) -> None:
    if len(members.optional) >= 2:
        members.keywords["not"] = {"required": members.optional[:2]}


def number_of_members(chance: random.Random, style: Style, members: Members) -> None:
    if members.optional and not members.example:
        members.keywords["minProperties"] = 1
        name = members.optional[0]
        members.example[name] = members.parts[name].example
    elif len(members.parts) > 3:
        members.keywords["maxProperties"] = max(len(members.example), len(members.parts) - 1)


def extensions(chance: random.Random, style: Style, members: Members) -> None:
    """Further keys of a certain form."""
    members.keywords["patternProperties"] = {"^x-": {} if chance.random() < 0.6 else {"type": "string"}}
    members.closed = True


def further_values(chance: random.Random, style: Style, members: Members) -> None:
    if not members.closed:
        value = weighted(chance, {plain_text: 3.0, choice_of_values: 1.0, list_of_values: 1.0})(chance, style)
        members.keywords["additionalProperties"] = value.schema


RULES: dict[Rule, float] = {
    if_then: 1.3,
    dependent: 1.2,
    one_of_several: 1.8,
    not_together: 0.8,
    number_of_members: 1.8,
    extensions: 1.6,
    further_values: 1.5,
}
