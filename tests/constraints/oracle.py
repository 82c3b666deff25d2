"""What the Python package jsonschema says of a document, with some keywords of its schema left out."""

import json
import math
import re
from collections.abc import Callable, Collection, Iterator
from fractions import Fraction
from typing import Any

from jsonschema import Draft7Validator, Draft202012Validator, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from tests.constraints.formats import CHECKER

# Where schemas lie in a schema; everything else in it is data.
ONE = ("items", "additionalItems", "unevaluatedItems", "contains", "not", "if", "then", "else", "contentSchema")
ONE_OF_OBJECTS = ("additionalProperties", "unevaluatedProperties", "propertyNames")
SEVERAL = ("items", "prefixItems", "allOf", "anyOf", "oneOf")
NAMED = ("properties", "patternProperties", "dependentSchemas", "dependencies", "definitions", "$defs")


def exact_multiples(validator: Any, divisor: float, number: Any, schema: Any) -> Iterator[ValidationError]:
    """jsonschema divides floats, by which 32.3 is no multiple of 0.01."""
    if validator.is_type(number, "number") and Fraction(str(number)) % Fraction(str(divisor)):
        yield ValidationError(f"{number} is no multiple of {divisor}")


def with_exact_multiples(kind: type[Validator]) -> Callable[..., Validator]:
    changed: Callable[..., Validator] = extend(kind, {"multipleOf": exact_multiples})  # type: ignore[no-untyped-call]  # jsonschema's extend has no types
    return changed


DRAFT_7, DRAFT_2020 = map(with_exact_multiples, (Draft7Validator, Draft202012Validator))


def is_valid(schema: dict[str, Any], document: Any) -> bool:
    """By the draft that the schema names; otherwise 2020-12. Raises RecursionError for a schema that needs itself."""
    return bool(validator(schema).is_valid(document))


def faults(schema: dict[str, Any], document: Any) -> list[str]:
    """What is wrong with the document."""
    return [f"{error.json_path}: {error.message}" for error in validator(schema).iter_errors(document)]


def validator(schema: dict[str, Any]) -> Validator:
    kind = DRAFT_7 if "draft-07" in str(schema.get("$schema")) else DRAFT_2020
    return kind(schema, format_checker=CHECKER)


def without(schema: Any, keywords: Collection[str]) -> Any:
    """A copy in which the keywords are deleted everywhere."""
    if not isinstance(schema, dict):
        return schema
    return {key: _value_without(key, value, keywords) for key, value in schema.items() if key not in keywords}


def _value_without(key: str, value: Any, keywords: Collection[str]) -> Any:
    if key in SEVERAL and isinstance(value, list):
        return [without(one, keywords) for one in value]
    if key in NAMED and isinstance(value, dict):
        return {name: without(one, keywords) for name, one in value.items()}
    return without(value, keywords) if key in ONE + ONE_OF_OBJECTS else value


def schemas_in(schema: Any) -> Iterator[dict[str, Any]]:
    """The schema and those inside, except true and false."""
    if not isinstance(schema, dict):
        return
    yield schema
    for key, value in schema.items():
        if key in NAMED and isinstance(value, dict):
            inner = list(value.values())
        elif key in SEVERAL and isinstance(value, list):
            inner = value
        else:
            inner = [value] if key in ONE + ONE_OF_OBJECTS else []
        for one in inner:
            yield from schemas_in(one)


def by_ecma(schema: Any) -> Any:
    """A copy in which patterns mean to Python what ECMA 262 says: there, $ is only the end, and \\d is ASCII."""
    if isinstance(schema, list):
        return [by_ecma(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {key: by_ecma(value) for key, value in schema.items()}
    if isinstance(schema.get("pattern"), str):
        changed["pattern"] = python_pattern(schema["pattern"])
    if isinstance(schema.get("patternProperties"), dict):
        changed["patternProperties"] = {
            python_pattern(key): value for key, value in changed["patternProperties"].items()
        }
    return changed


TOKENS = re.compile(r"\\.|\[(?:\\.|[^\]])*\]|[$.]")
MEANT = {"$": r"\Z", ".": r"[^\n\r\u2028\u2029]", r"\d": "[0-9]", r"\w": "[A-Za-z0-9_]"}


def python_pattern(pattern: str) -> str:
    return TOKENS.sub(lambda found: MEANT.get(found[0], found[0]), pattern)


def read(text: bytes) -> Any:
    """Raises ValueError for what is not one JSON document, and OverflowError for a number that a float can't hold."""
    return json.loads(text.decode(), parse_constant=_refuse, parse_float=_finite)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _finite(number: str) -> float:
    if not math.isfinite(float(number)):
        raise OverflowError(f"{number} is read as infinite")
    return float(number)


def repeated_keys(text: bytes) -> bool:
    """Whether an object in the text has a key twice."""
    found = False

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal found
        found |= len(dict(pairs)) < len(pairs)
        return dict(pairs)

    json.loads(text, object_pairs_hook=note)
    return found
