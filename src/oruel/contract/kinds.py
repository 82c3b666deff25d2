"""Kinds of JSON values. Each parses strictly, raises errors that name the field, and has a JSON Schema."""

import difflib
import json
import math
import re
from collections.abc import Callable, Mapping, Sized
from dataclasses import dataclass, field
from typing import Any, Protocol

from oruel.errors import InvalidParameter, UnknownParameter, UnsupportedParameter

JSONSchema = dict[str, Any]


class Kind(Protocol):
    def parse(self, value: object, path: str) -> Any:
        """Returns the value as a Python object. Raises InvalidParameter, UnknownParameter, UnsupportedParameter."""

    def schema(self) -> JSONSchema:
        """The JSON Schema of what `parse` accepts."""

    def __str__(self) -> str:
        """The allowed values, as a phrase that completes "must be"."""


@dataclass(frozen=True)
class Number:
    minimum: float
    maximum: float

    def parse(self, value: object, path: str) -> float:
        # Compared before the conversion: an integer of a thousand digits doesn't fit a float. NaN fails as well.
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
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        if not isinstance(number, int) or isinstance(number, bool) or not self.minimum <= number <= self.maximum:
            raise invalid_value(self, value, path)
        return number

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
        *others, last = (f'"{value}"' for value in self.values)
        return f"{', '.join(others)} or {last}" if others else last


@dataclass(frozen=True)
class String:
    """Lengths are in Unicode code points. Lone surrogates can't be encoded and are refused."""

    minimum: int = 0
    maximum: int | None = None
    pattern: str | None = None

    def parse(self, value: object, path: str) -> str:
        if not isinstance(value, str) or (self.pattern is not None and not re.fullmatch(self.pattern, value)):
            raise invalid_value(self, value, path)
        if len(value) < self.minimum or (self.maximum is not None and len(value) > self.maximum):
            raise invalid_length(self, value, path, "characters")
        if not value.isascii() and not is_encodable(value):
            raise InvalidParameter(f"{path} contains half of a surrogate pair. Send whole characters.", param=path)
        return value

    def schema(self) -> JSONSchema:
        limits = {"minLength": self.minimum or None, "maxLength": self.maximum, "pattern": self.pattern}
        return {"type": "string"} | {name: limit for name, limit in limits.items() if limit is not None}

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
            raise invalid_length(self, value, path, "items")
        return tuple(self.item.parse(item, f"{path}[{index}]") for index, item in enumerate(value))

    def schema(self) -> JSONSchema:
        limits = {"minItems": self.minimum or None, "maxItems": self.maximum}
        stated = {name: limit for name, limit in limits.items() if limit is not None}
        return {"type": "array", "items": self.item.schema()} | stated

    def __str__(self) -> str:
        return "an array" if self.maximum is None else f"an array of {self.minimum} to {self.maximum} items"


@dataclass(frozen=True)
class StringOrArray:
    """A string or an array. The result is always a tuple."""

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
    """An object that maps token ids, as decimal strings, to numbers. The vocabulary is checked later."""

    value: Number
    maximum: int

    def parse(self, value: object, path: str) -> dict[int, float]:
        if not isinstance(value, dict):
            raise invalid_value(self, value, path)
        if len(value) > self.maximum:
            raise invalid_length(self, value, path, "entries")
        return {self._token(id, path): self.value.parse(bias, f"{path}.{abbreviate(id)}") for id, bias in value.items()}

    def _token(self, key: str, path: str) -> int:
        if not (key.isascii() and key.isdigit() and len(key) <= 9 and (key == "0" or key[0] != "0")):
            raise InvalidParameter(
                f'{path} has the key "{abbreviate(key)}", but its keys must be token ids such as "42". '
                "POST /tokenize returns the ids of a text.",
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
        return f"an object that maps at most {self.maximum} token ids to {self.value}"


@dataclass(frozen=True)
class Object:
    """An object with declared fields. null counts as absent. The error for an unknown field suggests the nearest name,
    or what `elsewhere` says about the field. The result contains only the fields that were sent; `build` converts it.
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
    """A union of objects. The string in the field `tag` says which one a value is."""

    tag: str
    kinds: Mapping[str, Kind]

    def parse(self, value: object, path: str) -> Any:
        if not isinstance(value, dict):
            raise invalid_value(self, value, path)
        name, where = value.get(self.tag), f"{path}.{self.tag}"
        if name is None:
            raise missing(where, self.supported, value)
        known = isinstance(name, str) and name in self.kinds
        return self.kinds[name if known else self.supported.parse(name, where)].parse(value, path)

    @property
    def supported(self) -> StringEnum:
        return StringEnum(tuple(name for name, kind in self.kinds.items() if not isinstance(kind, Unsupported)))

    def schema(self) -> JSONSchema:
        return {"oneOf": [self.kinds[name].schema() | {"title": name} for name in self.supported.values]}

    def __str__(self) -> str:
        return f"an object whose {self.tag} is {self.supported}"


@dataclass(frozen=True)
class FreeObject:
    """An object with arbitrary fields, bounded in number, total size and depth."""

    maximum: int
    maximum_values: int = 1000
    maximum_depth: int = 8

    def parse(self, value: object, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise invalid_value(self, value, path)
        if len(value) > self.maximum:
            raise invalid_length(self, value, path, "fields")
        # Level by level instead of recursively, so that deep input doesn't exhaust the stack.
        level: list[object] = [value]
        for _ in range(self.maximum_depth):
            for item in level:
                require_representable(item, path)
            level = [inner for item in level for inner in children(item)]
            if len(level) > self.maximum_values:
                break
        if level:
            raise InvalidParameter(
                f"{path} is too large: at most {self.maximum_values} values, {self.maximum_depth} levels.", param=path
            )
        return value

    def schema(self) -> JSONSchema:
        return {"type": "object", "maxProperties": self.maximum}

    def __str__(self) -> str:
        return f"an object with at most {self.maximum} fields"


@dataclass(frozen=True)
class Unsupported:
    """A field that this server does not support. Its neutral values have no effect; they are accepted as unset."""

    reason: str
    neutral: tuple[Any, ...] = ()

    def parse(self, value: object, path: str) -> None:
        if not any(type(value) is type(neutral) and value == neutral for neutral in self.neutral):
            raise UnsupportedParameter(f"{path} is not supported: {self.reason}{self.advice}", param=path)

    @property
    def advice(self) -> str:
        return f" Leave it out, or send {self}." if self.neutral else " Leave it out."

    def schema(self) -> JSONSchema:
        return {"enum": [*self.neutral, None], "description": self.reason}

    def __str__(self) -> str:
        return " or ".join(json.dumps(value) for value in self.neutral) or "left out"


def invalid_value(kind: Kind, value: object, path: str, hint: str = "") -> InvalidParameter:
    return InvalidParameter(f"{path or 'The body'} must be {kind}, but is {describe(value)}.{hint}", param=path or None)


def invalid_length(kind: Kind, value: Sized, path: str, unit: str) -> InvalidParameter:
    return InvalidParameter(f"{path} must be {kind}, but has {len(value)} {unit}.", param=path)


def missing(path: str, kind: Kind, parent: Mapping[str, object]) -> InvalidParameter:
    """The error for a required field that is absent from `parent` or null."""
    state = "null" if path.rpartition(".")[2] in parent else "missing"
    return InvalidParameter(f"{path} is required and must be {kind}, but is {state}.", param=path)


def unknown_field(name: str, path: str, known: Mapping[str, Any], instead: str | None = None) -> UnknownParameter:
    hint = f" {instead}" if instead else nearest(name, tuple(known))
    return UnknownParameter(f"{path} is not a known field.{hint}", param=path)


def nearest(value: object, names: tuple[str, ...]) -> str:
    """' Did you mean X?', or an empty string. Long strings have none: difflib is quadratic, the input untrusted."""
    close = difflib.get_close_matches(value.lower(), names, n=1) if isinstance(value, str) and len(value) < 64 else []
    return f' Did you mean "{close[0]}"?' if close else ""


def describe(value: object) -> str:
    """A short description of a JSON value of any size."""
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
            return f"an array of length {len(value)}"
        case _:
            return "an object"


def abbreviate(text: str, limit: int = 40) -> str:
    """The first `limit` characters, made printable and encodable, to be quoted in a message."""
    shown = text if len(text) <= limit else text[:limit] + "…"
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in shown)


def is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def children(value: object) -> list[object]:
    """The names and values directly inside a JSON value."""
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return value if isinstance(value, list) else []


def require_representable(value: object, path: str) -> None:
    """Raises InvalidParameter for values that JSON text can't represent: NaN, infinities, lone surrogates."""
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidParameter(f"{path} contains a number that is not finite. Send finite numbers.", param=path)
    if isinstance(value, str):
        String().parse(value, path)


def nullable(schema: JSONSchema) -> JSONSchema:
    """Allows null as well, which means unset for every optional field."""
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return schema | {"type": [schema["type"], "null"]}
    if "enum" in schema:
        choices = schema["enum"]
        return schema if None in choices else schema | {"type": ["string", "null"], "enum": [*choices, None]}
    return {"anyOf": [schema, {"type": "null"}]}
