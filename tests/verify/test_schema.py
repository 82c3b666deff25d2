"""The checks' own reading of JSON Schema agrees with jsonschema on all that it reads."""

import json
from random import Random
from typing import Any

import jsonschema
import pytest

from oruel.verify.checks.json_mode import CAT, OPEN_ENDED
from oruel.verify.checks.schema import violation, violation_of_text
from oruel.verify.checks.tools import SCHEMAS

WORDS = ("black", "celsius", "a", "lives", "")


def random_value(random: Random, depth: int = 2) -> Any:
    simple = [random.choice(WORDS), random.randint(-2, 9), 1.5, True, False, None]
    if depth == 0 or random.random() < 0.6:
        return random.choice(simple)
    if random.random() < 0.3:
        return [random_value(random, depth - 1) for _ in range(random.randint(0, 2))]
    names = ("lives", "colour", "asleep", "a", "city", "unit", "first", "second", "other")
    return {name: random_value(random, depth - 1) for name in random.sample(names, random.randint(0, 4))}


def valid_value(random: Random, schema: dict[str, Any]) -> Any:
    """Mostly valid, as values that are valid by chance are rare."""
    if random.random() < 0.1:
        return random_value(random)
    if "enum" in schema:
        return random.choice(schema["enum"])
    match schema["type"]:
        case "object":
            return {
                name: valid_value(random, one) for name, one in schema["properties"].items() if random.random() < 0.9
            }
        case "integer":
            return random.randint(-9, 9)
        case "boolean":
            return random.random() < 0.5
        case _:
            return random.choice(WORDS)


@pytest.mark.parametrize("schema", [CAT, OPEN_ENDED, *SCHEMAS.values()])
@pytest.mark.parametrize("seed", range(100))
def test_a_value_breaks_a_schema_where_jsonschema_says_so(schema: dict[str, Any], seed: int) -> None:
    value = valid_value(Random(seed), schema)
    assert (violation(value, schema) is None) == jsonschema.Draft202012Validator(schema).is_valid(value), json.dumps(
        value
    )


def test_items_of_arrays_are_read() -> None:
    schema = {"type": "array", "items": {"type": "integer"}}
    assert violation([1, 2], schema) is None
    assert violation([1, "2"], schema) == "[1] is not of type integer"


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", '{"a": NaN}', '{"a": 1} and more', "```json\n{}\n```"])
def test_texts_that_are_not_json_are_invalid(text: str) -> None:
    assert violation_of_text(text, {}) == "it isn't valid JSON"
