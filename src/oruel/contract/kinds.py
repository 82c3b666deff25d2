"""Kinds of JSON value. Each parses strictly or raises a typed error naming the field, and has a JSON Schema."""

import difflib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from oruel.errors import InvalidParameter, UnknownParameter, UnsupportedParameter

JSONSchema = dict[str, Any]


class Kind(Protocol):
    def parse(self, value: object, path: str) -> Any:
        """The value as a Python object. Raises InvalidParameter, UnknownParameter or UnsupportedParameter."""

    def schema(self) -> JSONSchema:
        """The JSON Schema of what `parse` accepts."""

    def __str__(self) -> str:
        """What is allowed, in words that fit after "must be"."""


@dataclass(frozen=True)
class Number:
    minimum: float
    maximum: float

    def parse(self, value: object, path: str) -> float:
        # Compared before the conversion, because an integer of a thousand digits has no float. NaN fails, too.
        if isinstance(value, (int, float)) and not isinstance(value, bool) and self.minimum <= value <= self.maximum:
            return float(value)
        raise invalid_value(self, value, path)

    def schema(self) -> JSONSchema:
        return {"type": "number", "minimum": self.minimum, "maximum": self.maximum}

    def __str__(self) -> str:
        return f"a number from {self.minimum:g} to {self.maximum:g}"


@dataclass(frozen=True)
class Integer:
    minimum: int
    maximum: int

    def parse(self, value: object, path: str) -> int:
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not whole:
            raise invalid_value(self, value, path)
        if not self.minimum <= value <= self.maximum:
            raise invalid_value(self, value, path)
        return int(value)

    def schema(self) -> JSONSchema:
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}

    def __str__(self) -> str:
        return f"an integer from {self.minimum} to {self.maximum}"


@dataclass(frozen=True)
class Boolean:
    def parse(self, value: object, path: str) -> bool:
        if not isinstance(value, bool):
            raise invalid_value(self, value, path)
        return value

    def schema(self) -> JSONSchema:
        return {"type": "boolean"}

    def __str__(self) -> str:
        return "true or false"


@dataclass(frozen=True)
class StringEnum:
    values: tuple[str, ...]

    def parse(self, value: object, path: str) -> str:
        if not isinstance(value, str) or value not in self.values:
            raise invalid_value(self, value, path, nearest(value, self.values))
        return value

    def schema(self) -> JSONSchema:
        return {"type": "string", "enum": list(self.values)}

    def __str__(self) -> str:
        return " or ".join(f'"{value}"' for value in self.values)


@dataclass(frozen=True)
class String:
    """Lengths are in Unicode code points. Lone surrogates, which can't be encoded, are refused."""

    minimum: int = 0
    maximum: int | None = None
    pattern: str | None = None

    def parse(self, value: object, path: str) -> str:
        if not isinstance(value, str) or (self.pattern is not None and not re.fullmatch(self.pattern, value)):
            raise invalid_value(self, value, path)
        if len(value) < self.minimum or (self.maximum is not None and len(value) > self.maximum):
            raise InvalidParameter(f"{path} must be {self}, but has {len(value)}.", param=path)
        if not value.isascii() and not is_encodable(value):
            raise InvalidParameter(f"{path} contains half of a surrogate pair; send whole characters.", param=path)
        return value

    def schema(self) -> JSONSchema:
        bounds = {"minLength": self.minimum or None, "maxLength": self.maximum, "pattern": self.pattern}
        return {"type": "string"} | {name: bound for name, bound in bounds.items() if bound is not None}

    def __str__(self) -> str:
        if self.pattern is not None:
            return f"a string that matches {self.pattern}"
        if self.maximum is None:
            return f"a string of at least {self.minimum} characters" if self.minimum else "a string"
        return f"a string of {self.minimum} to {self.maximum} characters"


@dataclass(frozen=True)
class Array:
    item: Kind
    minimum: int = 0
    maximum: int | None = None

    def parse(self, value: object, path: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise invalid_value(self, value, path)
        if len(value) < self.minimum or (self.maximum is not None and len(value) > self.maximum):
            raise InvalidParameter(f"{path} must be {self}, but has {len(value)} items.", param=path)
        return tuple(self.item.parse(item, f"{path}[{index}]") for index, item in enumerate(value))

    def schema(self) -> JSONSchema:
        bounds = {"minItems": self.minimum or None, "maxItems": self.maximum}
        schema = {"type": "array", "items": self.item.schema()}
        return schema | {name: bound for name, bound in bounds.items() if bound is not None}

    def __str__(self) -> str:
        if self.maximum is None:
            return "an array"
        return f"an array of {self.minimum} to {self.maximum} items"


@dataclass(frozen=True)
class StringOrArray:
    """A string or an array, told apart by the JSON type. The result is always a tuple."""

    one: String
    many: Array

    def parse(self, value: object, path: str) -> tuple[Any, ...]:
        if isinstance(value, str):
            return (self.one.parse(value, path),)
        if isinstance(value, list):
            return self.many.parse(value, path)
        raise invalid_value(self, value, path)

    def schema(self) -> JSONSchema:
        return {"anyOf": [self.one.schema(), self.many.schema()]}

    def __str__(self) -> str:
        return f"{self.one} or {self.many}"


@dataclass(frozen=True)
class TokenMap:
    """An object from token ids, as decimal strings, to numbers. Whether the vocabulary has the ids is checked later."""

    value: Number
    maximum: int

    def parse(self, value: object, path: str) -> dict[int, float]:
        if not isinstance(value, dict):
            raise invalid_value(self, value, path)
        if len(value) > self.maximum:
            raise InvalidParameter(f"{path} may have at most {self.maximum} entries, but has {len(value)}.", param=path)
        return {
            self._token(key, path): self.value.parse(bias, f"{path}.{abbreviate(key)}") for key, bias in value.items()
        }

    def _token(self, key: str, path: str) -> int:
        canonical = key.isascii() and key.isdigit() and len(key) <= 9 and (key == "0" or key[0] != "0")
        if not canonical:
            raise InvalidParameter(
                f'{path} has the key "{abbreviate(key)}"; keys must be token ids such as "42". '
                "POST /tokenize shows the ids of a text.",
                param=path,
            )
        return int(key)

    def schema(self) -> JSONSchema:
        return {
            "type": "object",
            "propertyNames": {"pattern": "^(0|[1-9][0-9]{0,8})$"},
            "additionalProperties": self.value.schema(),
            "maxProperties": self.maximum,
        }

    def __str__(self) -> str:
        return f"an object from token ids to numbers from {self.value.minimum:g} to {self.value.maximum:g}"


@dataclass(frozen=True)
class Object:
    """An object of declared fields. null counts as absent; unknown fields are refused with the nearest name, or with
    what `elsewhere` says about them. The result has only the given fields; `build` converts it.
    """

    fields: Mapping[str, Kind]
    required: tuple[str, ...] = ()
    build: Callable[[dict[str, Any]], Any] = field(default=lambda given: given)
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    def parse(self, value: object, path: str) -> Any:
        if not isinstance(value, dict):
            raise invalid_value(self, value, path)
        prefix = f"{path}." if path else ""
        for name in value:
            if name not in self.fields:
                raise unknown_field(name, prefix + (abbreviate(name) or '""'), self.fields, self.elsewhere.get(name))
        for name in self.required:
            if value.get(name) is None:
                raise missing(f"{prefix}{name}", self.fields[name], value)
        given = {name: item for name, item in value.items() if item is not None}
        return self.build({name: self.fields[name].parse(item, f"{prefix}{name}") for name, item in given.items()})

    def schema(self) -> JSONSchema:
        properties = {
            name: kind.schema() if name in self.required else nullable(kind.schema())
            for name, kind in self.fields.items()
        }
        required = {"required": list(self.required)} if self.required else {}
        return {"type": "object", "properties": properties, "additionalProperties": False} | required

    def __str__(self) -> str:
        return "an object" if not self.fields else f"an object with {' and '.join(self.required or self.fields)}"


@dataclass(frozen=True)
class TaggedUnion:
    """A union of objects, told apart by the string in their field `tag`."""

    tag: str
    kinds: Mapping[str, Kind]

    def parse(self, value: object, path: str) -> Any:
        if not isinstance(value, dict):
            raise invalid_value(self, value, path)
        name, where = value.get(self.tag), f"{path}.{self.tag}"
        if name is None:
            raise missing(where, self.served, value)
        known = isinstance(name, str) and name in self.kinds
        return self.kinds[name if known else self.served.parse(name, where)].parse(value, path)

    @property
    def served(self) -> StringEnum:
        return StringEnum(tuple(name for name, kind in self.kinds.items() if not isinstance(kind, Unsupported)))

    def schema(self) -> JSONSchema:
        return {"oneOf": [self.kinds[name].schema() | {"title": name} for name in self.served.values]}

    def __str__(self) -> str:
        return f"an object whose {self.tag} is {self.served}"


@dataclass(frozen=True)
class FreeObject:
    """An object that is passed on: any fields, of bounded number, size and depth."""

    maximum: int
    maximum_values: int = 1000
    maximum_depth: int = 8

    def parse(self, value: object, path: str) -> dict[str, Any]:
        if not isinstance(value, dict) or len(value) > self.maximum:
            raise invalid_value(self, value, path)
        # Level by level instead of recursively, so that deep input doesn't exhaust the stack.
        level: list[object] = [value]
        for _ in range(self.maximum_depth):
            for item in level:
                refuse_unsendable(item, path)
            level = [inner for item in level for inner in children(item)]
            if len(level) > self.maximum_values:
                break
        if level:
            raise InvalidParameter(
                f"{path} is too large: at most {self.maximum_values} values, {self.maximum_depth} deep.", param=path
            )
        return value

    def schema(self) -> JSONSchema:
        return {"type": "object", "maxProperties": self.maximum}

    def __str__(self) -> str:
        return f"an object of at most {self.maximum} fields"


@dataclass(frozen=True)
class Unsupported:
    """A field that is not supported. Neutral values, which have no effect, are accepted and mean unset."""

    reason: str
    neutral: tuple[Any, ...] = ()

    def parse(self, value: object, path: str) -> None:
        if not any(type(value) is type(neutral) and value == neutral for neutral in self.neutral):
            raise UnsupportedParameter(f"{path} can't be honoured: {self.reason}{self.advice}", param=path)

    @property
    def advice(self) -> str:
        return f" Leave it out, or send {self}." if self.neutral else " Leave it out."

    def schema(self) -> JSONSchema:
        return {"enum": [*self.neutral, None], "description": self.reason}

    def __str__(self) -> str:
        return " or ".join(json.dumps(value) for value in self.neutral) or "left out"


def invalid_value(kind: Kind, value: object, path: str, hint: str = "") -> InvalidParameter:
    return InvalidParameter(f"{path or 'The body'} must be {kind}, but is {describe(value)}.{hint}", param=path or None)


def missing(path: str, kind: Kind, parent: Mapping[str, object]) -> InvalidParameter:
    """For a required field that is absent from `parent`, or null there."""
    state = "null" if path.rpartition(".")[2] in parent else "missing"
    return InvalidParameter(f"{path} is required and must be {kind}, but is {state}.", param=path)


def unknown_field(name: str, path: str, known: Mapping[str, Any], instead: str | None = None) -> UnknownParameter:
    hint = f" {instead}" if instead else nearest(name, tuple(known))
    return UnknownParameter(f"{path} is not a known field.{hint}", param=path)


def nearest(value: object, names: tuple[str, ...]) -> str:
    """' Did you mean X?', or nothing. Compares only short strings, since difflib is quadratic."""
    close = difflib.get_close_matches(value.lower(), names, n=1) if isinstance(value, str) and len(value) < 64 else []
    return f' Did you mean "{close[0]}"?' if close else ""


def describe(value: object) -> str:
    """A JSON value in a few words, whatever its size."""
    match value:
        case None | bool():
            return json.dumps(value)
        case int() if abs(value) >= 10**20:
            return "a huge integer"
        case float() if not math.isfinite(value):
            return "not a finite number"
        case int() | float():
            return str(value)
        case str():
            return f'the string "{abbreviate(value)}"'
        case list():
            return f"an array of {len(value)}"
        case _:
            return "an object"


def abbreviate(text: str, limit: int = 40) -> str:
    """At most `limit` characters, printable and encodable, for quoting in a message."""
    shown = text if len(text) <= limit else text[:limit] + "…"
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in shown)


def is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def children(value: object) -> list[object]:
    """The values directly inside a JSON value, names included."""
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return value if isinstance(value, list) else []


def refuse_unsendable(value: object, path: str) -> None:
    """Raises InvalidParameter for what JSON text can't represent: NaN, infinities, lone surrogates."""
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidParameter(f"{path} contains a number that is not finite.", param=path)
    if isinstance(value, str):
        String().parse(value, path)


def nullable(schema: JSONSchema) -> JSONSchema:
    """Every optional field may be null, which means unset."""
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return schema | {"type": [schema["type"], "null"]}
    if "enum" in schema:
        choices = schema["enum"]
        return schema if None in choices else schema | {"type": ["string", "null"], "enum": [*choices, None]}
    return {"anyOf": [schema, {"type": "null"}]}
