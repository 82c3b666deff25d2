"""Random JSON Schemas over all keywords of drafts 7 and 2020-12, each built around a document that should fit it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from tests.constraints.json_values import KINDS, is_unique, kind_of, without_repeats
from tests.constraints.value_strategies import NAME_PATTERNS, VENDOR_FORMATS, ValueDrawer, names

JsonSchema = bool | dict[str, Any]
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema"
DIVISORS = [1, 2, 3, 5, 7, 10, 0.5, 0.25, 0.1, 0.01, 2.5]
MOST_SUBSCHEMAS = 24
MAX_DEPTH = 4
REFERENCE = re.compile(r'"\$(ref|dynamicRef)"')
ANNOTATIONS: dict[str, list[Any]] = {
    "title": ["A thing"],
    "description": ["What it is."],
    "$comment": ["for the author"],
    "default": [None, "a", {"type": 5}],
    "examples": [["a", 1]],
    "readOnly": [True],
    "writeOnly": [False],
    "deprecated": [True],
    "contentEncoding": ["base64"],
    "contentMediaType": ["application/json"],
    "contentSchema": [{"type": "object"}],
    "x-order": [3],
    "self": [{"vendor": "example"}],
    "enumNames": [["one", "two"]],
    "propertyOrder": [7],
}


@dataclass(frozen=True)
class SchemaCase:
    """A schema, and the document that it was built around, which mostly fits it."""

    schema: dict[str, Any]
    document: Any


@st.composite
def schema_cases(draw: st.DrawFn) -> SchemaCase:
    drawer = SchemaDrawer(draw, is_draft_7=draw(st.booleans()))
    document = drawer.value(depth=0)
    schema = drawer.root([document])
    return SchemaCase(schema, document)


class SchemaDrawer(ValueDrawer):
    """Draws schemas. All methods that take `values` return what all of these values should fit."""

    def __init__(self, draw: st.DrawFn, *, is_draft_7: bool) -> None:
        super().__init__(draw)
        self._is_draft_7 = is_draft_7
        self._left = MOST_SUBSCHEMAS
        self._definitions: dict[str, JsonSchema] = {}
        self._names = 0
        self._base = ""

    def root(self, values: Sequence[Any]) -> dict[str, Any]:
        head = {"$schema": DRAFT_7} if self._is_draft_7 else {"$schema": DRAFT_2020} if self.chance(3) else {}
        if self.chance(8):
            self._base = "https://example.com/schemas/root.json"
            head["$id"] = self._base
        schema = self.schema(values, 0)
        schema = {"allOf": [schema]} if isinstance(schema, bool) else schema
        if self._is_draft_7 and "$ref" in schema:
            # Draft 7 ignores the keywords next to a $ref, including definitions.
            schema = {"allOf": [schema]}
        held = {self._definitions_key: self._definitions} if self._definitions else {}
        return {**head, **schema, **held}

    def schema(self, values: Sequence[Any], depth: int) -> JsonSchema:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            return {"type": self._types(values)} if values else {}
        if self.chance(16):
            return True if depth and self.chance(2) else {}
        values = values or [self.value(min(depth + 1, 3)) for _ in range(1 + self.upto(2))]
        shapes = [self._typed] * 7 + [self._enumerated, self._typed_too, self._one_of]
        shapes += [self._any_of, self._all_of, self._but_not, self._conditional, self._reference, self._recursive]
        schema: dict[str, Any] = self.one(shapes)(values, depth)
        if self.chance(5):
            key = self.one(sorted(ANNOTATIONS))
            schema.setdefault(key, self.one(ANNOTATIONS[key]))
        return schema

    # Keywords of one type.

    def _typed(self, values: Sequence[Any], depth: int) -> dict[str, Any]:
        schema: dict[str, Any] = {} if self.chance(8) else {"type": self._types(values)}
        if strings := [value for value in values if isinstance(value, str)]:
            schema |= self._string_keywords(strings)
        if found := [value for value in values if kind_of(value) == "number"]:
            schema |= self._number_keywords(found)
        if arrays := [value for value in values if isinstance(value, list)]:
            schema |= self._array_keywords(arrays, depth)
        if objects := [value for value in values if isinstance(value, dict)]:
            schema |= self._object_keywords(objects, depth)
        return schema

    def _types(self, values: Sequence[Any]) -> Any:
        found = sorted({self._type(value) for value in values})
        if self.chance(8):
            found += [kind for kind in [self.one(KINDS)] if kind not in found]
        return found[0] if len(found) == 1 and not self.chance(10) else found

    def _type(self, value: Any) -> str:
        kind = kind_of(value)
        return "integer" if kind == "number" and value == int(value) and not self.chance(3) else kind

    def _string_keywords(self, values: Sequence[str]) -> dict[str, Any]:
        schema: dict[str, Any] = {}
        lengths = [len(value) for value in values]
        if self.chance(4):
            schema["minLength"] = max(0, min(lengths) - self.upto(3))
        if self.chance(4):
            schema["maxLength"] = max(lengths) + self.upto(5)
        fitting = {pattern for pattern in self.patterns.values() if all(re.search(pattern, one) for one in values)}
        if fitting and self.chance(2):
            schema["pattern"] = self.one(sorted(fitting))
        formats = {self.formats.get(value, "") for value in values}
        if len(formats) == 1 and "" not in formats and not self.chance(4):
            schema["format"] = formats.pop()
        elif self.chance(20):
            schema["format"] = self.one(VENDOR_FORMATS)
        return schema

    def _number_keywords(self, values: Sequence[int | float]) -> dict[str, Any]:
        schema: dict[str, Any] = {}
        if self.chance(3):
            schema["minimum"] = min(values) - self.upto(9)
        elif self.chance(4):
            schema["exclusiveMinimum"] = min(values) - 1 - self.upto(9)
        if self.chance(3):
            schema["maximum"] = max(values) + self.upto(9)
        elif self.chance(4):
            schema["exclusiveMaximum"] = max(values) + 1 + self.upto(9)
        if self.chance(4):
            dividing = [one for one in DIVISORS if all(Decimal(str(v)) % Decimal(str(one)) == 0 for v in values)]
            schema |= {"multipleOf": self.one(dividing)} if dividing else {}
        return schema

    def _array_keywords(self, values: Sequence[list[Any]], depth: int) -> dict[str, Any]:
        schema: dict[str, Any] = {}
        counts = [len(value) for value in values]
        if self.chance(3):
            schema["minItems"] = max(0, min(counts) - self.upto(2))
        if self.chance(3):
            schema["maxItems"] = max(counts) + self.upto(3)
        if all(is_unique(value) for value in values) and self.chance(2):
            schema["uniqueItems"] = True
        schema |= self._items(values, depth)
        if min(counts) and self.chance(4):
            schema["contains"] = self.schema([value[0] for value in values], depth + 1)
            if not self._is_draft_7 and self.chance(2):
                schema["minContains"] = self.upto(2)
            if not self._is_draft_7 and self.chance(3):
                schema["maxContains"] = max(counts) + self.upto(2)
        return schema

    def _items(self, values: Sequence[list[Any]], depth: int) -> dict[str, Any]:
        fixed = 1 + self.upto(2) if self.chance(4) else 0
        places = [[value[place] for value in values if place < len(value)] for place in range(fixed)]
        first = [self.schema(one, depth + 1) for one in places]
        rest = [item for value in values for item in value[fixed:]]
        schema: dict[str, Any] = {}
        if first:
            schema["items" if self._is_draft_7 else "prefixItems"] = first
        key = "additionalItems" if first and self._is_draft_7 else "items"
        if not rest and first and self.chance(2):
            schema[key] = False
        elif not self.chance(8):
            schema[key] = self.schema(rest, depth + 1)
        if not self._is_draft_7 and self.chance(8):
            schema["unevaluatedItems"] = self.schema(rest, depth + 1) if rest else False
        return schema

    def _object_keywords(self, values: Sequence[dict[str, Any]], depth: int) -> dict[str, Any]:
        keys = list(dict.fromkeys(key for value in values for key in value))
        common = [key for key in keys if all(key in value for value in values)]
        named = [key for key in keys if not self.chance(6)] + [
            key for key in self.draw(st.lists(names(), max_size=2, unique=True)) if key not in keys
        ]
        schema: dict[str, Any] = {}
        if named:
            schema["properties"] = {
                key: self.schema([value[key] for value in values if key in value], depth + 1) for key in named
            }
            if named[-1] not in keys and self.chance(6):
                schema["properties"][named[-1]] = {"$ref": f"{self._base}#"}
        required = [key for key in common if not self.chance(3)]
        if required or self.chance(8):
            schema["required"] = required
        covered = set(named)
        if self.chance(6):
            pattern = self.one(NAME_PATTERNS)
            matched = [item for value in values for key, item in value.items() if re.search(pattern, key)]
            schema["patternProperties"] = {pattern: self.schema(matched, depth + 1)}
            covered |= {key for key in keys if re.search(pattern, key)}
        schema |= self._other_properties(values, [key for key in keys if key not in covered], depth)
        return schema | self._counts_of_keys(values, keys) | self._dependencies(values, keys, depth)

    def _other_properties(self, values: Sequence[dict[str, Any]], others: list[str], depth: int) -> dict[str, Any]:
        key = "unevaluatedProperties" if not self._is_draft_7 and self.chance(6) else "additionalProperties"
        if not others and not self.chance(3):
            return {key: False}
        if self.chance(3):
            return {key: self.schema([value[key] for value in values for key in others if key in value], depth + 1)}
        return {key: True} if self.chance(4) else {}

    def _counts_of_keys(self, values: Sequence[dict[str, Any]], keys: list[str]) -> dict[str, Any]:
        schema: dict[str, Any] = {}
        counts = [len(value) for value in values]
        if self.chance(6):
            schema["minProperties"] = max(0, min(counts) - self.upto(1))
        if self.chance(6):
            schema["maxProperties"] = max(counts) + self.upto(2)
        if self.chance(8):
            fitting = [one for one in NAME_PATTERNS if all(re.search(one, key) for key in keys)]
            longest = max(map(len, keys), default=1)
            choices: list[JsonSchema] = [{"maxLength": longest + 2}, {"enum": [*keys, "more", "again"]}]
            choices += [{"pattern": one} for one in fitting] + [{"minLength": min(map(len, keys), default=1)}]
            schema["propertyNames"] = self.one([*choices, {"not": {"const": "bad"}}])
        return schema

    def _dependencies(self, values: Sequence[dict[str, Any]], keys: list[str], depth: int) -> dict[str, Any]:
        if not self.chance(6):
            return {}
        key = self.draw(names()) if not keys or self.chance(3) else self.one(keys)
        having = [value for value in values if key in value]
        if self.chance(2):
            always = [one for one in keys if all(one in value for value in having)] or [self.draw(names())]
            wanted = self.draw(st.lists(st.sampled_from(always), max_size=2, unique=True))
            return {"dependencies" if self._is_draft_7 else "dependentRequired": {key: wanted}}
        schema = self.schema(having, depth + 1) if self.chance(3) else self._part(having)
        return {"dependencies" if self._is_draft_7 else "dependentSchemas": {key: schema}}

    # Keywords of all types.

    def _enumerated(self, values: Sequence[Any], depth: int) -> dict[str, Any]:
        found = without_repeats(values)
        if len(found) == 1 and self.chance(2):
            return {"const": found[0]}
        more = [self.value(depth + 1) for _ in range(self.upto(3))]
        return {"enum": self.shuffled(without_repeats([*found, *more]))}

    def _typed_too(self, values: Sequence[Any], depth: int) -> dict[str, Any]:
        """Keywords of one type with one of all types beside them."""
        beside = self.one([self._enumerated, self._any_of, self._one_of, self._all_of, self._but_not])
        return {**beside(values, depth + 1), **self._typed(values, depth), **self._conditional(values, depth + 1)}

    def _any_of(self, values: Sequence[Any], depth: int) -> dict[str, Any]:
        cut = self.upto(len(values) - 1)
        parts = [part for part in (values[:cut], values[cut:]) if part]
        branches = [self.schema(part, depth + 1) for part in parts]
        branches += [self.schema([], depth + 1) for _ in range(self.upto(2))]
        return {"anyOf": self.shuffled(branches)}

    def _one_of(self, values: Sequence[Any], depth: int) -> dict[str, Any]:
        objects = [value for value in values if isinstance(value, dict)]
        keys = sorted({key for value in objects for key in value})
        match self.upto(3):
            case 0 if keys:
                others = [name for name in ("left", "right", "more") if name not in keys]
                branches: list[JsonSchema] = [{"required": [key]} for key in [self.one(keys), *others[:2]]]
            case 1:
                kinds = [kind for kind in ("string", "boolean", "null") if all(kind_of(one) != kind for one in values)]
                typed = {**self._typed(values, depth + 1), "type": sorted({kind_of(value) for value in values})}
                branches = [typed, *({"type": kind} for kind in kinds[: 1 + self.upto(1)])]
            case 2:
                tags = [f"tag{number}" for number in range(2 + self.upto(1))]
                branches = [self._tagged(tag, depth) for tag in tags]
                branches.append({"type": sorted({kind_of(value) for value in values}), "not": {"required": ["tag"]}})
            case _:
                branches = [self.schema(values, depth + 1), *(self.schema([], depth + 1) for _ in range(self.upto(2)))]
        return {"oneOf": self.shuffled(branches)}

    def _tagged(self, tag: str, depth: int) -> dict[str, Any]:
        members = {self.draw(names()): self.schema([], depth + 2)}
        tagged = {"type": "object", "properties": {"tag": {"const": tag}, **members}, "required": ["tag"]}
        return {**tagged, "additionalProperties": False} if self.chance(2) else tagged

    def _all_of(self, values: Sequence[Any], depth: int) -> dict[str, Any]:
        return {"allOf": [self.schema(values, depth + 1) for _ in range(1 + self.upto(2))]}

    def _but_not(self, values: Sequence[Any], depth: int) -> dict[str, Any]:
        return {**(self._typed(values, depth) if self.chance(2) else {}), "not": self._unfit(values, depth)}

    def _unfit(self, values: Sequence[Any], depth: int) -> JsonSchema:
        """What the values should not fit."""
        keys = sorted({key for value in values if isinstance(value, dict) for key in value})
        absent = [name for name in ("a", "b", "more", "bad") if name not in keys]
        other = [self.value(depth + 1)]
        kinds = [kind for kind in KINDS if kind != "integer" and all(kind_of(value) != kind for value in values)]
        choices: list[JsonSchema] = [{"required": absent[:1]}, {"const": other[0]}, {"enum": [None, *other]}]
        choices += [{"type": kind} for kind in kinds[:2]]
        choices += [{"pattern": "^foo"}, {"anyOf": [{"required": [name]} for name in absent[:2]]}, {"minItems": 9}]
        choices += [{"properties": {key: {"const": "bad"}}, "required": [key]} for key in keys[:1]]
        return self.schema(other, depth + 1) if self.chance(4) else self.one(choices)

    def _conditional(self, values: Sequence[Any], depth: int) -> dict[str, Any]:
        if not self.chance(2):
            return {}
        fitting, other = self._part(values), self._unfit(values, depth)
        free = self._part([self.value(depth + 1)])
        schema = {"if": fitting, "then": self._part(values)} if self.chance(2) else {"if": other, "then": free}
        return schema if self.chance(2) else {**schema, "else": free if schema["if"] is fitting else self._part(values)}

    def _part(self, values: Sequence[Any]) -> dict[str, Any]:
        """A small schema that the values fit, as conditions have them."""
        objects = [value for value in values if isinstance(value, dict)]
        common = [key for key in (objects[0] if objects else {}) if all(key in value for value in objects)]
        if not common:
            return {} if not values else {"type": sorted({kind_of(value) for value in values})}
        key = self.one(common)
        member: JsonSchema = {"enum": without_repeats([value[key] for value in objects])}
        member = member if self.chance(2) else {"type": sorted({kind_of(value[key]) for value in objects})}
        schema: dict[str, Any] = {"properties": {key: member}} if not self.chance(3) else {}
        return {**schema, "required": [key]} if not schema or not self.chance(3) else schema

    # References.

    @property
    def _definitions_key(self) -> str:
        return "definitions" if self._is_draft_7 else "$defs"

    def _reference(self, values: Sequence[Any], depth: int) -> dict[str, Any]:
        if self._definitions and self.chance(3):
            return {"$ref": self._pointer(self.one(sorted(self._definitions)))}
        name = self._new_name(["item", "thing", "a/b", "t~x", "größe", "x y"])
        schema = self._definitions[name] = self.schema(values, depth + 1)
        beside = self._typed(values, depth + 1) if self.chance(6) else {}
        return {"$ref": self._named(schema) or self._pointer(name), **beside}

    def _new_name(self, options: list[str]) -> str:
        """A definition has its name before it is there, so that no schema refers to itself without a value between."""
        name: str = self.one(options)
        self._names += 1
        return f"{name}{self._names}" if self._names > 1 else name

    def _named(self, schema: JsonSchema) -> str:
        """Seldom gives the schema a name, and returns what refers to it."""
        # References in an embedded resource start there, and a draft 7 schema with a reference has no name.
        if not isinstance(schema, dict) or not self.chance(4) or REFERENCE.search(json.dumps(schema)):
            return ""
        self._names += 1
        if self.chance(3):
            schema["$id"] = f"part{self._names}.json"
            return str(schema["$id"])
        anchor = f"anchor{self._names}"
        schema |= {"$id": f"#{anchor}"} if self._is_draft_7 else {"$anchor": anchor}
        return f"{self._base}#{anchor}"

    def _pointer(self, name: str) -> str:
        escaped = name.replace("~", "~0").replace("/", "~1")
        return f"{self._base if self.chance(4) else ''}#/{self._definitions_key}/{quote(escaped, safe='~')}"

    def _recursive(self, values: Sequence[Any], depth: int) -> dict[str, Any]:
        """The values, or a list or tree of them."""
        name = self._new_name(["node"])
        is_dynamic = not self._is_draft_7 and self.chance(6)
        reference = {"$dynamicRef": f"#{name}"} if is_dynamic else {"$ref": self._pointer(name)}
        node: dict[str, Any] = {"type": "object", "properties": {"value": self.schema(values, depth + 1)}}
        if self.chance(2):
            node["properties"]["next"] = {self.one(["anyOf", "oneOf"]): [{"type": "null"}, reference]}
            node["required"] = ["next"]
        else:
            node["properties"]["children"] = {"type": "array", "items": reference}
        if self.chance(2):
            node["additionalProperties"] = False
        self._definitions[name] = {"$dynamicAnchor": name, **node} if is_dynamic else node
        return {"anyOf": [{**reference}, self.schema(values, depth + 1)]} if not self.chance(3) else {**reference}
