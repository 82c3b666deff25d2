"""Random schemas, and random documents that fit them by the oracle. Independent of the code under test."""

import json
import random
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft7Validator, Draft202012Validator

KEYS = ("a", "b", "c", "kind", "x1", "x2")
CONSTANTS: tuple[Any, ...] = ("a", "ab", "é", 0, 1, 2.5, True, None, [1], {"a": 1})
PATTERNS = ("^a", "b$", "^[a-z]{1,4}$", "^(?!a)", "^(?=.*[0-9])", "x", "^x[0-9]$")


DRAFT7 = "http://json-schema.org/draft-07/schema#"
# Keywords that draft 7 doesn't have.
LATER = {"prefixItems", "dependentRequired", "dependentSchemas", "unevaluatedItems", "unevaluatedProperties"}
LATER |= {"minContains", "maxContains"}


class RandomSchemas:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._names: list[str] = []

    def whole(self) -> dict[str, Any]:
        """A schema with definitions, which may refer to each other."""
        self._names = ["d0", "d1"]
        definitions = {name: self.schema(2) for name in self._names}
        return self.schema() | {"$defs": definitions}

    def schema(self, depth: int = 3) -> dict[str, Any]:
        pick = self.random.random()
        if self._names and self.random.random() < 0.12:
            return {"$ref": f"#/$defs/{self.random.choice(self._names)}"}
        if depth <= 0 or pick < 0.25:
            return self._scalar()
        if pick < 0.65:
            return self._object(depth)
        if pick < 0.85:
            return self._array(depth)
        return self._combined(depth)

    def _some(self, **makers: Any) -> dict[str, Any]:
        """Each keyword with one chance in three."""
        return {key.rstrip("_"): make() for key, make in makers.items() if self.random.random() < 0.3}

    def _scalar(self) -> dict[str, Any]:
        chance, below = self.random.choice, self.random.randrange
        match below(6):
            case 0:
                low = below(-5, 5)
                return {"type": chance(["integer", "number"])} | self._some(
                    minimum=lambda: low, maximum=lambda: low + below(20), multipleOf=lambda: chance([1, 2, 0.5, 3])
                )
            case 1:
                return {"enum": self.random.sample(CONSTANTS, below(1, 5))}
            case 2:
                return {"const": chance(CONSTANTS)}
            case 3:
                return {"type": chance(["boolean", "null", ["string", "null"], ["integer", "string"]])}
            case 4:
                return {"type": "string", "pattern": chance(PATTERNS)}
        return {"type": "string"} | self._some(minLength=lambda: below(4), maxLength=lambda: 3 + below(5))

    def _object(self, depth: int) -> dict[str, Any]:
        chance, below = self.random.choice, self.random.randrange
        keys = self.random.sample(KEYS, below(1, 5))
        return {
            "type": "object",
            "properties": {key: self.schema(depth - 1) for key in keys},
        } | self._some(
            required=lambda: self.random.sample(keys, below(len(keys) + 1)),
            additionalProperties=lambda: chance([False, self.schema(depth - 2)]),
            patternProperties=lambda: {"^x": self.schema(depth - 2)},
            propertyNames=lambda: {"maxLength": below(1, 6)},
            minProperties=lambda: below(4),
            maxProperties=lambda: 1 + below(4),
            dependentRequired=lambda: {chance(keys): [chance(KEYS)]},
            dependentSchemas=lambda: {chance(keys): self._object(depth - 2) if depth > 1 else {"minProperties": 2}},
            unevaluatedProperties=lambda: False,
            not_=lambda: {"required": [chance(keys)]},
            if_=lambda: {"properties": {chance(keys): self._scalar()}},
            then=lambda: {"required": [chance(keys)]},
            else_=lambda: {"properties": {chance(keys): self._scalar()}},
        )

    def _array(self, depth: int) -> dict[str, Any]:
        below = self.random.randrange
        return {"type": "array"} | self._some(
            items=lambda: self.schema(depth - 1),
            prefixItems=lambda: [self.schema(depth - 1) for _ in range(below(1, 3))],
            minItems=lambda: below(4),
            maxItems=lambda: 3 + below(3),
            uniqueItems=lambda: True,
            contains=lambda: self._scalar(),
            minContains=lambda: below(3),
            maxContains=lambda: 1 + below(2),
            unevaluatedItems=lambda: False,
        )

    def _combined(self, depth: int) -> dict[str, Any]:
        keyword = self.random.choice(["anyOf", "oneOf", "allOf", "oneOf"])
        parts = [self.schema(depth - 1) for _ in range(self.random.randrange(1, 4))]
        beside = self._object(depth - 1) if self.random.random() < 0.3 else {}
        return beside | {keyword: parts}


class RandomDocuments:
    """Documents with keys in the order of `properties`, guided by the schema and kept if the oracle accepts them."""

    def __init__(self, schema: Any, seed: int) -> None:
        self.schema = schema
        self.random = random.Random(seed)

    def valid(self, tries: int) -> Iterator[Any]:
        oracle = validator_of(self.schema)
        for _ in range(tries):
            document = self.value(self.schema, 4)
            if oracle.is_valid(document):
                yield document

    def value(self, schema: Any, depth: int) -> Any:
        if not isinstance(schema, dict):
            return self._any()
        if "$ref" in schema:
            return self.value(self.schema["$defs"][schema["$ref"].rpartition("/")[2]], depth - 1)
        for keyword in ("allOf", "anyOf", "oneOf"):
            if keyword in schema and ("type" not in schema or self.random.random() < 0.5):
                return self.value(self.random.choice(schema[keyword]), depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        return self._of_type(schema, depth)

    def _of_type(self, schema: dict[str, Any], depth: int) -> Any:
        kind = schema.get("type")
        match self.random.choice(kind) if isinstance(kind, list) else kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "integer" | "number":
                low, high = schema.get("minimum", -9), schema.get("maximum", 99)
                number = self.random.randint(low, max(low, high))
                return number if schema["type"] == "integer" or self.random.random() < 0.5 else number + 0.5
            case "string":
                return self._string()
            case "boolean":
                return self.random.random() < 0.5
            case "null":
                return None
        return self._any()

    def _any(self) -> Any:
        return self.random.choice(CONSTANTS)

    def _string(self) -> str:
        return "".join(self.random.choice('abx01é"\\') for _ in range(self.random.randrange(6)))

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        found = {}
        for key, inner in schema.get("properties", {}).items():
            if key in schema.get("required", ()) or (depth > 0 and self.random.random() < 0.5):
                found[key] = self.value(inner, depth - 1)
        for key in ("zz", "x1", "x9", "é"):
            if key not in schema.get("properties", {}) and self.random.random() < 0.15:
                found[key] = self._any()
        return found

    def _array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        prefix, others = schema.get("prefixItems", []), schema.get("items", {})
        if isinstance(others, list):
            prefix, others = others, schema.get("additionalItems", {})
        count = self.random.randrange(5) if depth > 0 else schema.get("minItems", 0)
        return [self.value(prefix[place] if place < len(prefix) else others, depth - 1) for place in range(count)]


def validator_of(schema: Any) -> Any:
    return (Draft7Validator if schema.get("$schema") == DRAFT7 else Draft202012Validator)(schema)


def as_draft7(schema: Any) -> Any:
    """The same in the keywords of draft 7, as far as it has them."""
    if isinstance(schema, list):
        return list(map(as_draft7, schema))
    if not isinstance(schema, dict):
        return schema
    kept = {key: as_draft7(value) for key, value in schema.items() if key not in LATER | {"enum", "const", "required"}}
    kept |= {key: schema[key] for key in ("enum", "const", "required") if key in schema}
    if "prefixItems" in schema:
        kept["items"] = as_draft7(schema["prefixItems"])
        kept |= {"additionalItems": as_draft7(schema["items"])} if "items" in schema else {}
    schemas = {key: as_draft7(one) for key, one in schema.get("dependentSchemas", {}).items()}
    dependencies = schema.get("dependentRequired", {}) | schemas
    return kept | ({"dependencies": dependencies} if dependencies else {})


def text_of(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()
