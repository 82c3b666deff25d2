"""Arguments written as tags, one for each key: strings are verbatim, other values are JSON."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any

from oruel.constraints.closing.first_end import left_out_of_arguments
from oruel.constraints.schema import unenforceable_keywords
from oruel.constraints.spec import schema_expression
from oruel.errors import SchemaRefused
from oruel.json_schema.extract import self_contained
from oruel.json_schema.keywords import ABOLISHED, RESTRICTING
from oruel.json_schema.references import plain_references, resolve_pointer
from oruel.text.arguments.schema_checks import ENFORCED, LENGTHS, TAGGED_KEY, check_keywords, refuse_schema
from oruel.text.arguments.syntax import ArgumentGrammar, ArgumentSyntax
from oruel.text.lark import ANYTHING, Lark, either, escape, quote
from oruel.text.placeholders import TYPE

# Keywords that can be enforced on verbatim text.
TEXTUAL = frozenset({"type", "enum", "const", "minLength", "maxLength"})
UNTEXTUAL = (RESTRICTING | ABOLISHED) - TEXTUAL
# Keywords that can't be enforced on tags, since each tag is independent.
TOGETHER = frozenset(
    {"anyOf", "const", "dependencies", "dependentRequired", "dependentSchemas", "else", "enum", "if", "not", "oneOf",
     "propertyNames", "then"}
)  # fmt: skip
# Longer counts are too costly for a grammar.
MAX_LENGTH = 2**16
# For all schemas of one function's arguments, with their references.
MAX_CHARACTERS = 2**21
# In Python, a boolean is an integer.
TYPES: Mapping[str, type | tuple[type, ...]] = {
    "boolean": bool,
    "null": NoneType,
    "number": (int, float),
    "string": str,
    "object": dict,
    "array": list,
}
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
# Names of types in tags that differ from JSON Schema's.
NAMES = {"integer": "number"}


@dataclass(frozen=True, slots=True)
class TagSyntax(ArgumentSyntax):
    """(before_key KEY after_key VALUE after_value)*. Strings are verbatim and other values are JSON, after
    `after_key_json` instead of `after_key`. If that contains TYPE, each tag names the type of its value.

    `exact`: refuse a schema that tags can't enforce, instead of leaving out the keywords concerned.
    """

    before_key: str
    after_key: str
    after_value: str
    after_key_json: str
    exact: bool = False

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.before_key, self.after_key, self.after_value, self.after_key_json)

    @property
    def first(self) -> str:
        return self.before_key

    def unenforced_keywords(self, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        arguments = ToolArguments(parameters)
        left_out = {*arguments.left_out, *unenforceable_keywords(parameters)}
        for value in (value for argument in arguments.each for value in argument.value_syntaxes(self)):
            left_out.update(unenforceable_keywords(value.schema))
        return tuple(sorted(left_out - {*left_out_of_arguments(parameters).keywords})) if left_out else ()

    def grammar(self, lark: Lark, schema: Mapping[str, Any], *, prefix: str, where: str) -> ArgumentGrammar:
        if self.exact:
            check_exact(schema, where)
        rules = TagRules(lark, self, prefix)
        return ArgumentGrammar(rules.arguments(ToolArguments(schema)), rules.rules)

    def reader(self, parameters: Mapping[str, Any], follows: re.Pattern[str]) -> "TagReader":
        return TagReader(self, parameters, follows)


class TagRules:
    """Grammar rules for arguments in tags. The names of all rules begin with `prefix`."""

    def __init__(self, lark: Lark, tags: TagSyntax, prefix: str) -> None:
        self._lark = lark
        self._tags = tags
        self._prefix = prefix
        self._lines: list[str] = []

    @property
    def rules(self) -> str:
        return "".join(self._lines)

    def arguments(self, arguments: "ToolArguments") -> str:
        """An expression for the arguments in the schema's order."""
        parts: list[str] = []
        for place, argument in enumerate(arguments.each):
            options: list[str] = []
            for option, value in enumerate(argument.value_syntaxes(self._tags)):
                name = f"{self._prefix}value_{place}_{option}"
                self._lines.append(self._value(name, value))
                options.append(f"{self._lark.literal(value.after_key)} {name}")
            part = f"{self._lark.literal(self._tags.before_key)} {quote(argument.key)} {either(options)}"
            parts.append(part if argument.is_required else f"({part})?")
        return " ".join(parts)

    def _value(self, name: str, value: "ValueSyntax") -> str:
        if value.limits:
            return self._text(name, value.limits)
        return f"{name}: {schema_expression(value.schema)} {self._lark.literal(self._tags.after_value)}\n"

    def _text(self, name: str, limits: "TextLimits") -> str:
        end = self._tags.after_value
        if limits.choices is not None:
            return f"{name}: {either(map(quote, limits.choices))} {self._lark.literal(end)}\n"
        terminal = f"{name}_text".upper()
        length = f"/(.|\\n){{{limits.least},{'' if limits.most is None else limits.most}}}/"
        # Without the exclusion, a text below minLength could continue after its closing tag.
        return f"{terminal}: {length} & ~/{ANYTHING}{escape(end)}{ANYTHING}/\n" + self._lark.up_to(name, end, terminal)


class TagReader:
    """Implements ArgumentReader."""

    def __init__(self, tags: TagSyntax, parameters: Mapping[str, Any], follows: re.Pattern[str]) -> None:
        self._tags = tags
        self._follows = follows
        self._count = 0
        # For each text that may precede a value: the key, and whether the value is verbatim.
        self._heads = {
            f"{tags.before_key}{argument.key}{value.after_key}": (argument.key, value.is_text)
            for argument in ToolArguments(parameters).each
            for value in argument.value_syntaxes(tags)
        }
        self.is_complete = False

    def take(self, text: str) -> tuple[int, str] | None:
        if not text.startswith(self._tags.before_key):
            if not self._follows.match(text):
                return None
            self.is_complete = True
            return 0, "}" if self._count else "{}"
        head = next((head for head in self._heads if text.startswith(head)), "")
        key, is_text = self._heads.get(head, ("", False))
        end = find_value_end(text, len(head), self._tags.after_value, is_text) if head else -1
        if end < 0:
            return None
        value = text[len(head) : end]
        written = json.dumps(value, ensure_ascii=False) if is_text else value
        opening = ", " if self._count else "{"
        self._count += 1
        fragment = f"{opening}{json.dumps(key, ensure_ascii=False)}: {written}"
        return end + len(self._tags.after_value), fragment


@dataclass(frozen=True, slots=True)
class TextLimits:
    """Constrains a verbatim value: one of `choices`, or a length in characters."""

    choices: tuple[str, ...] | None = None
    least: int = 0
    most: int | None = None

    def allows(self, value: str) -> bool:
        return self.least <= len(value) and (self.most is None or len(value) <= self.most)


@dataclass(frozen=True, slots=True)
class ValueSyntax:
    """A way to write a value after `after_key`: verbatim if `limits` is set, otherwise as JSON."""

    after_key: str
    schema: dict[str, Any]
    limits: TextLimits | None = None

    @property
    def is_text(self) -> bool:
        return self.limits is not None


@dataclass(frozen=True, slots=True)
class ToolArgument:
    """`schema` contains everything that it refers to."""

    key: str
    schema: dict[str, Any]
    is_required: bool

    def value_syntaxes(self, tags: TagSyntax) -> list[ValueSyntax]:
        """The ways to write the value: one per type if the tag names the type, otherwise one.

        Raises SchemaRefused if there is none.
        """
        if TYPE not in tags.after_key_json:
            # A string whose schema verbatim text can't satisfy is written as JSON.
            limits = text_limits(self.schema, tags.after_value)
            return [ValueSyntax(tags.after_key if limits else tags.after_key_json, self.schema, limits)]
        found = [value for name in allowed_types(self.schema) if (value := self._typed(name, tags))]
        if not found:
            raise SchemaRefused(f"the tags of this model can't express any value of {json.dumps(self.key)}")
        return found

    def _typed(self, name: str, tags: TagSyntax) -> ValueSyntax | None:
        schema = {**self.schema, "type": name}
        if "enum" in schema:
            schema["enum"] = [choice for choice in schema["enum"] if json_type(choice) == NAMES.get(name, name)]
        if name == "string":
            limits = text_limits(schema, tags.after_value)
            return ValueSyntax(tags.after_key, schema, limits) if limits else None
        after_key = tags.after_key_json.replace(TYPE, NAMES.get(name, name))
        return ValueSyntax(after_key, schema) if is_enforceable(schema) else None


def text_limits(schema: Mapping[str, Any], end: str) -> TextLimits | None:
    """The limits of verbatim text, up to the first `end`, for strings of this schema; None if it can't be enforced."""
    if schema.keys() & UNTEXTUAL or schema.get("type", "string") != "string":
        return None
    most = schema.get("maxLength")
    text = TextLimits(None, int(schema.get("minLength", 0)), None if most is None else int(most))
    if max(text.least, text.most or 0) > MAX_LENGTH:
        return None
    values = listed_values(schema)
    if values is None:
        return text if "type" in schema else None
    if not values or not all(
        isinstance(value, str) and text.allows(value) and is_unambiguous(value, end) for value in values
    ):
        return None
    return TextLimits(tuple(values))


def listed_values(schema: Mapping[str, Any]) -> list[Any] | None:
    """The possible values; None if they aren't enumerated."""
    listed: list[Any] | None = schema.get("enum")
    if "const" not in schema:
        return listed
    return [schema["const"]] if listed is None or schema["const"] in listed else []


def is_unambiguous(value: str, end: str) -> bool:
    """Whether the first `end` after the value is its end. Unprintable values are left to JSON."""
    return value.isprintable() and (value + end).find(end) == len(value)


def allowed_types(schema: Mapping[str, Any]) -> list[str]:
    """The types that a value of this schema may have; all if the schema doesn't say."""
    named = schema.get("type")
    if named:
        return [named] if isinstance(named, str) else list(named)
    listed = listed_values(schema)
    return sorted({json_type(choice) for choice in listed}) if listed else list(TYPES)


def json_type(value: Any) -> str:
    return next(name for name, kind in TYPES.items() if isinstance(value, kind))


def is_enforceable(schema: Mapping[str, Any]) -> bool:
    try:
        unenforceable_keywords(schema)
    except SchemaRefused:
        return False
    return True


class ToolArguments:
    """The arguments of one function: those that its schema declares, in order, and other required ones. No others are
    ever written. `left_out`: the keywords that tags can't enforce, sorted.

    Raises SchemaRefused for a required argument that can't exist, and if the schemas are too large.
    """

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._root = plain_references(parameters)
        self._parts = list(self._all())
        self._required = {key for part in self._parts for key in part.get("required") or ()}
        self._size = 0
        keys = [key for part in self._parts for key in [*(part.get("properties") or ()), *(part.get("required") or ())]]
        self.each = [found for key in dict.fromkeys(keys) if (found := self._argument(key))]
        self.left_out = tuple(sorted(self._left_out()))

    def _all(self) -> Iterator[Mapping[str, Any]]:
        """The schemas that all apply: the object's own, its references, and those in allOf."""
        waiting: list[Any] = [self._root]
        seen: set[int] = set()
        for schema in waiting:
            if isinstance(schema, Mapping) and id(schema) not in seen:
                seen.add(id(schema))
                yield schema
                waiting += [resolve_pointer(self._root, schema.get("$ref")), *(schema.get("allOf") or ())]

    def _argument(self, key: str) -> ToolArgument | None:
        applying = [subschema_for(key, part) for part in self._parts]
        is_required = key in self._required
        if any(schema is False for schema in applying):
            if is_required:
                raise SchemaRefused(f"{json.dumps(key)} is required, but its schema allows no value")
            return None
        schemas = [schema for schema in applying if isinstance(schema, Mapping) and schema]
        schema = self_contained({"allOf": schemas} if len(schemas) > 1 else schemas[0] if schemas else {}, self._root)
        self._size += len(json.dumps(schema))
        if self._size > MAX_CHARACTERS:
            raise SchemaRefused(
                f"the schemas of its arguments, with their references, have more than {MAX_CHARACTERS} characters"
            )
        return ToolArgument(key, schema, is_required)

    def _left_out(self) -> set[str]:
        named = {keyword for part in self._parts for keyword in TOGETHER & part.keys()}
        if self.each and any(part.get("patternProperties") for part in self._parts):
            named.add("patternProperties")
        if any(part.get("minProperties", 0) > len(self._required) for part in self._parts):
            named.add("minProperties")
        if any(part.get("maxProperties", len(self.each)) < len(self.each) for part in self._parts):
            named.add("maxProperties")
        return named


def subschema_for(key: str, part: Mapping[str, Any]) -> Any:
    """What one schema of the object says about the value of `key`."""
    properties = part.get("properties") or {}
    return properties[key] if key in properties else part.get("additionalProperties", True)


def check_exact(schema: Mapping[str, Any], where: str) -> None:
    """Raises UnsupportedParameter for what tags can't enforce, where strings are verbatim and other values are JSON."""
    check_keywords(schema, "object", where)
    properties = schema.get("properties") or {}
    for key in schema.get("required", ()):
        if key not in properties:
            refuse_schema(where, f"the required property {json.dumps(key)} without a schema")
    for key, described in properties.items():
        if not TAGGED_KEY.fullmatch(key):
            refuse_schema(where, f"the property name {json.dumps(key, ensure_ascii=False)}")
        if isinstance(described, Mapping) and "string" in described.get("type", ()):
            for keyword in sorted(ENFORCED["string"] - LENGTHS):
                if keyword in described:
                    refuse_schema(f"{where}.{key}", keyword)


def find_value_end(text: str, start: int, end: str, is_text: bool) -> int:
    """The index of the `end` after a value; -1 if it hasn't arrived. Inside a JSON string it doesn't count."""
    place = text.find(end, start)
    while place >= 0 and not is_text and '"' in STRING.sub("", text[start:place]):
        place = text.find(end, place + 1)
    return place
