"""Random schemas, each with an instance that follows from how the schema was built, without the code under test."""

import json
import random
from typing import Any

WORDS = ["a", "name", "größe", "x y", 'say "it"', "{}", "null", "aa"]
TEXTS = {
    "^[a-z]{2,4}$": "abc",
    "^[0-9]{3}-[0-9]{4}$": "123-4567",
    "^(ab|cd)+$": "ab",
    "foo": "a foo",
    "b$": "ab",
    ".+/.+": "a/b",
    r"^\S+@\S+$": "a@b",
    r"^[^@]+@[^@]+\.[a-z]+$": "a@b.c",
    "^https?://.+$": "http://a",
    "^x.*[.!?]$": "x!",
}
FORMATS = {
    "email": "a@b.c",
    "uri": "a://b",
    "ipv4": "1.2.3.4",
    "date": "2026-11-25",
    "time": "10:11:12Z",
    "uuid": "01234567-89ab-cdef-0123-456789abcdef",
    "hostname": "a.b",
}
FIXED: list[tuple[dict[str, Any], Any]] = [
    ({"type": "null"}, None),
    ({"type": "boolean"}, False),
    ({"type": "string", "allOf": [{"pattern": "a.*b"}, {"minLength": 8}]}, "axxxxxxb"),
    ({"type": "array", "prefixItems": [{"type": "integer"}], "items": False, "minItems": 1}, [0]),
]
KINDS = ["string", "long", "integer", "number", "huge", "enum", "const", "pattern", "format", "fixed"]
NESTED = ["object", "object", "array", "array", "either", "free", "refers"]

Schema = dict[str, Any]


def random_schema(chance: random.Random, depth: int = 0) -> tuple[Schema, Any]:
    kind = chance.choice(KINDS if depth > 2 else KINDS + 2 * NESTED)
    return leaf_schema(kind, chance) if kind in KINDS else nested_schema(kind, chance, depth)


def leaf_schema(kind: str, chance: random.Random) -> tuple[Schema, Any]:
    low = chance.choice([0, 0, 1, 5])
    match kind:
        case "string":
            return {"type": "string", "minLength": low, "maxLength": low + chance.choice([0, 3, 40])}, "x" * low
        case "long":
            return {"type": "string", "minLength": 30 + low}, "x" * (30 + low)
        case "integer" | "number":
            least = chance.choice([-1000, -3, 0, 7, 10**6])
            return {"type": kind, "minimum": least, "maximum": least + chance.choice([0, 5, 10**5])}, least
        case "huge":
            return {"type": chance.choice(["integer", "number"])}, 0
        case "enum":
            values = chance.sample([*WORDS, 1, 2.5, None, True], chance.randint(1, 4))
            return {"enum": values}, max(values, key=lambda value: len(str(value)))
        case "const":
            value = chance.choice([*WORDS, 0, False])
            return {"const": value}, value
        case "pattern":
            pattern, text = chance.choice(list(TEXTS.items()))
            return {"type": "string", "pattern": pattern}, text
        case "format":
            name, text = chance.choice(list(FORMATS.items()))
            return {"type": "string", "format": name}, text
        case _:
            return chance.choice(FIXED)


def nested_schema(kind: str, chance: random.Random, depth: int) -> tuple[Schema, Any]:
    match kind:
        case "object":
            return random_object(chance, depth)
        case "array":
            low = chance.choice([0, 0, 1, 2, 12 if depth else 1])
            items, item = random_schema(chance, depth + 1 if low < 3 else 3)
            bounds = {"minItems": low} | ({"maxItems": low + chance.choice([0, 2, 9])} if chance.random() < 0.8 else {})
            return {"type": "array", "items": items, **bounds}, [item] * low
        case "free":
            values, _ = random_schema(chance, depth + 1)
            named, value = random_schema(chance, depth + 1)
            name = chance.choice(["a", "u", "0"])
            properties = {name: named, "\n": {"type": "integer"}}
            free = {"type": "object", "properties": properties, "required": [name], "additionalProperties": values}
            return free, {name: value}
        case "refers":
            link = {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node", "description": "another"}]}
            node = {"type": "object", "properties": {"next": link}, "required": ["next"], "additionalProperties": False}
            return {"$ref": "#/$defs/node", "$defs": {"node": node}}, {"next": None}
        case _:
            choices = [random_schema(chance, depth + 1) for _ in range(chance.choice([1, 2, 3]))]
            longest = max((example for _, example in choices), key=lambda example: len(json.dumps(example)))
            return {"anyOf": [schema for schema, _ in choices]}, longest


def random_object(chance: random.Random, depth: int = 0) -> tuple[Schema, Any]:
    # Names are unique, so that none is required in one place and optional in another.
    names = [f"{word}{chance.randrange(10**6)}" for word in chance.sample(WORDS, chance.randint(0, 4))]
    members = {name: random_schema(chance, depth + 1) for name in names}
    required = [name for name in names if chance.random() < 0.6]
    schema = {
        "type": "object",
        "properties": {name: schema for name, (schema, _) in members.items()},
        "required": required,
        "additionalProperties": chance.choice([False, False, True]),
    }
    return schema, {name: members[name][1] for name in required}


def random_document_schema(chance: random.Random) -> tuple[Schema, Any]:
    """A schema whose definitions are at the top level, where its references point."""
    schema, example = random_object(chance)
    definitions: Schema = {}
    return hoist_definitions(schema, definitions) | ({"$defs": definitions} if definitions else {}), example


def hoist_definitions(schema: Any, found: Schema) -> Any:
    if isinstance(schema, list):
        return [hoist_definitions(item, found) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(schema.get("$defs"), dict):
        found |= schema["$defs"]
        schema = {key: value for key, value in schema.items() if key != "$defs"}
    return {key: hoist_definitions(value, found) for key, value in schema.items()}
