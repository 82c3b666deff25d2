"""Writes JSON values that match a schema, for JSON mode and for the arguments of calls."""

from collections.abc import Mapping
from random import Random
from typing import Any

from tests.verify.toy_model import WORDS

Schema = Mapping[str, Any]
# A JSON object of anything.
FREE: Schema = {}


def free_object(random: Random) -> dict[str, Any]:
    return {name: random.choice(WORDS) for name in random.sample(WORDS, random.randint(1, 4))}


class Filler:
    """`small`: only what the schema requires, as short as it allows."""

    def __init__(self, root: Schema, random: Random, small: bool = False) -> None:
        self._root, self._random, self._small = root, random, small

    def document(self) -> Any:
        if not self._root:
            return {} if self._small else free_object(self._random)
        return self.value(self._root)

    def value(self, schema: Schema) -> Any:
        if "$ref" in schema:
            return self.value(self._resolve(schema["$ref"]))
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return min(schema["enum"], key=len_of) if self._small else self._random.choice(schema["enum"])
        for union in ("anyOf", "oneOf"):
            if union in schema:
                return self.value(schema[union][0])
        return getattr(self, f"_{self._type_of(schema)}")(schema)

    def _resolve(self, reference: str) -> Schema:
        found: Any = self._root
        for name in reference.removeprefix("#/").split("/"):
            found = found[name]
        return dict(found)

    def _type_of(self, schema: Schema) -> str:
        named = schema.get("type", "object" if "properties" in schema else "string")
        return str(named[0] if isinstance(named, list) else named)

    def _object(self, schema: Schema) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", ())
        names = [name for name in properties if name in required or not (self._small or self._random.random() < 0.5)]
        return {name: self.value(properties[name]) for name in names}

    def _array(self, schema: Schema) -> list[Any]:
        least = schema.get("minItems", 0)
        most = min(schema.get("maxItems", least + 3), least + 3)
        count = least if self._small else self._random.randint(least, most)
        return [self.value(schema.get("items", {"type": "integer"})) for _ in range(count)]

    def _string(self, schema: Schema) -> str:
        least, most = schema.get("minLength", 0), schema.get("maxLength", 200)
        text = "" if self._small else " ".join(self._random.sample(WORDS, self._random.randint(1, 3)))
        return text[:most].ljust(least, "x")

    def _number(self, schema: Schema) -> float:
        return self._integer(schema) if self._small else self._integer(schema) + 0.0

    def _integer(self, schema: Schema) -> int:
        least = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
        most = schema.get("maximum", schema.get("exclusiveMaximum", least + 100) - 1)
        return int(least if self._small else self._random.randint(int(least), int(most)))

    def _boolean(self, schema: Schema) -> bool:
        return self._small or self._random.random() < 0.5

    def _null(self, schema: Schema) -> None:
        return None


def len_of(value: Any) -> int:
    return len(str(value))
