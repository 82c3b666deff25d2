"""Arguments written as nested elements: each value between two tags with the name of its key."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oruel.constraints.spec import schema_expression
from oruel.json_schema.references import plain_references, resolve_pointer
from oruel.text.arguments.schema_checks import (
    ENFORCED,
    LENGTHS,
    MAX_CHOICES,
    NUMBERS,
    TAGGED_KEY,
    SchemaRules,
    check_keywords,
    conflicting_keyword,
    pick_keywords,
    require_plain_references,
)
from oruel.text.arguments.syntax import ArgumentGrammar, ArgumentSyntax
from oruel.text.lark import Lark, either, quote, terminal_without
from oruel.text.matching import overlap

MOST_REFERENCES = 20
REFERRING = {"$ref", "anyOf", "oneOf", "allOf"}
OPENING = re.compile(r"<([^<>/]+)>")
CLOSING = re.compile(r"</[^<>]+>")


@dataclass(frozen=True, slots=True)
class ElementSyntax(ArgumentSyntax):
    """(mark<key> value mark</key>)*. Objects and arrays are written the same way, each array entry as an `item`.
    Strings are written verbatim, numbers and booleans as in JSON, and null is left out.
    """

    mark: str

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.mark,)

    def grammar(self, lark: Lark, schema: Mapping[str, Any], *, prefix: str, where: str) -> ArgumentGrammar:
        rules = ElementRules(lark, self, prefix, where)
        return ArgumentGrammar(rules.arguments(schema), rules.rules)

    def reader(self, parameters: Mapping[str, Any], follows: re.Pattern[str]) -> "ElementReader":
        return ElementReader(self, parameters)

    def opening_tag(self, key: str) -> str:
        return f"{self.mark}<{key}>"

    def closing_tag(self, key: str) -> str:
        return f"{self.mark}</{key}>"


class ElementRules(SchemaRules):
    """Like QuotedRules, for elements."""

    def __init__(self, lark: Lark, elements: ElementSyntax, prefix: str, where: str) -> None:
        self._lark = lark
        self._elements = elements
        super().__init__(prefix, where)
        self._root: Mapping[str, Any] = {}

    def arguments(self, schema: Mapping[str, Any]) -> str:
        schema = self._root = require_plain_references(schema, self._where)
        check_keywords(schema, "object", self._where)
        return self._members(schema, "")

    def _members(self, schema: Mapping[str, Any], path: str) -> str:
        properties, required = schema.get("properties") or {}, schema.get("required", ())
        for key in required:
            if key not in properties:
                self._refuse(path, f"the required property {json.dumps(key)} without a schema")
        parts = [(key, self._element(key, described, f"{path}.{key}")) for key, described in properties.items()]
        return " ".join(part if key in required else f"({part})?" for key, part in parts)

    def _element(self, key: str, schema: Any, path: str) -> str:
        if not TAGGED_KEY.fullmatch(key):
            self._refuse(path, f"the property name {json.dumps(key, ensure_ascii=False)}")
        return f"{self._lark.literal(self._elements.opening_tag(key))} {self._closed(key, schema, path)}"

    def _closed(self, key: str, schema: Any, path: str) -> str:
        """A value and its closing tag."""
        if not (isinstance(schema, Mapping) and REFERRING.intersection(schema)):
            return self._rule(self._value(key, schema, path))
        # The schema may refer to itself.
        name = f"{key} {json.dumps(schema)}"
        if name not in self._references:
            self._references[name] = f"{self._prefix}r{len(self._references)}"
            body = self._value(key, schema, path)
            self._lines.append(f"{self._references[name]}: {body}\n")
        return self._references[name]

    def _value(self, key: str, schema: Any, path: str) -> str:
        plain, close = single_type_schema(schema, self._root), self._lark.literal(self._elements.closing_tag(key))
        if plain is None:
            self._refuse(path, describe_ambiguity(schema))
        named = plain["type"]
        if "enum" in plain or "const" in plain:
            return f"{self._choice(plain, path)} {close}"
        check_keywords(plain, named, self._where + path)
        if named == "string":
            return self._text(plain, key, path)
        if named == "array":
            return f"{self._items(plain, path)} {close}"
        if named == "object":
            if not plain.get("properties") and plain.get("additionalProperties", True) is not False:
                self._refuse(path, "an object without declared properties")
            return f"{self._members(plain, path)} {close}"
        if named == "boolean":
            return f'("true" | "false") {close}'
        number = self._rule(schema_expression({"type": named, **pick_keywords(plain, NUMBERS)}))
        return f"{number} {close}"

    def _choice(self, schema: Mapping[str, Any], path: str) -> str:
        choices = [choice for choice in schema.get("enum", [schema.get("const")]) if choice is not None]
        if len(choices) > MAX_CHOICES:
            self._refuse(path, f"{len(choices)} enum values, more than {MAX_CHOICES}")
        if schema["type"] not in ("string", "number", "integer", "boolean"):
            self._refuse(path, f"an enum of type {schema['type']}")
        return either(quote(choice if isinstance(choice, str) else json.dumps(choice)) for choice in choices)

    def _text(self, schema: Mapping[str, Any], key: str, path: str) -> str:
        for keyword in pick_keywords(schema, ENFORCED["string"]):
            if keyword not in LENGTHS:
                self._refuse(path, keyword)
        least, most = schema.get("minLength", 0), schema.get("maxLength", "")
        terminal = f"{self._prefix}T{len(self._lines)}".upper()
        plain = [] if self._lark.is_control(self._elements.mark) else [self._elements.mark]
        held = f" & /(.|\\n){{{least},{most}}}/" if least or most != "" else ""
        self._lines.append(terminal_without(terminal, plain).rstrip("\n") + f"{held}\n")
        self._lines.append(self._lark.up_to(terminal.lower(), self._elements.closing_tag(key), terminal))
        return terminal.lower()

    def _items(self, schema: Mapping[str, Any], path: str) -> str:
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        if "items" not in schema:
            self._refuse(path, "items without a schema")
        if most is not None and most < least:
            self._refuse(path, "maxItems below minItems")
        item = self._rule(self._element("item", schema["items"], f"{path}.items"))
        return f"{item}{{{least},{'' if most is None else most}}}"


def describe_ambiguity(schema: Any) -> str:
    """Why no reader could tell the type of a value."""
    if isinstance(schema, Mapping) and "$ref" in schema:
        return f"$ref {schema['$ref']}"
    keyword = next((name for name in ("anyOf", "oneOf", "allOf") if isinstance(schema, Mapping) and name in schema), "")
    return f"{keyword} of more than one type" if keyword else "more than one type or none"


@dataclass
class _Open:
    """An element that has begun. `count`: its entries so far."""

    schema: Mapping[str, Any]
    count: int = 0


class ElementReader:
    """Implements ArgumentReader. A closing tag without an open element ends the arguments."""

    def __init__(self, elements: ElementSyntax, schema: Mapping[str, Any]) -> None:
        self._mark = elements.mark
        self._root = plain_references(schema)
        self._stack = [_Open({**self._root, "type": "object"})]
        self._is_text = False
        self._has_begun = False
        self.is_complete = False

    def take(self, text: str) -> tuple[int, str] | None:
        if not self._has_begun:
            self._has_begun = True
            return 0, "{"
        if self._stack[-1].schema["type"] in ("object", "array"):
            return self._tag(text)
        return self._leaf(text)

    def _tag(self, text: str) -> tuple[int, str] | None:
        tag = text.removeprefix(self._mark)
        if closing := CLOSING.match(tag):
            return self._close(len(text) - len(tag) + closing.end())
        opening = OPENING.match(tag)
        if not text.startswith(self._mark) or not opening:
            return None
        top = self._stack[-1]
        is_object = top.schema["type"] == "object"
        described = (top.schema.get("properties") or {}).get(opening[1]) if is_object else top.schema.get("items")
        inner = single_type_schema(described, self._root) or {"type": "string"}
        comma, key = ", " if top.count else "", f"{json.dumps(opening[1])}: " if is_object else ""
        top.count += 1
        self._stack.append(_Open(inner))
        starts = {"object": "{", "array": "[", "string": '"'}
        return len(self._mark) + opening.end(), comma + key + starts.get(inner["type"], "")

    def _close(self, length: int) -> tuple[int, str]:
        ends = {"object": "}", "array": "]"}
        ended = self._stack.pop()
        if not self._stack:
            self.is_complete = True
            return 0, "}"
        return length, ends.get(ended.schema["type"], '"' if ended.schema["type"] == "string" else "")

    def _leaf(self, text: str) -> tuple[int, str] | None:
        end = text.find(self._mark)
        if end == 0:
            closing = CLOSING.match(text, len(self._mark))
            return self._close(closing.end()) if closing else None
        if end < 0:
            end = len(text) - overlap(text, self._mark)
        is_text = self._stack[-1].schema["type"] == "string"
        return (end, json.dumps(text[:end], ensure_ascii=False)[1:-1] if is_text else text[:end]) if end else None


def single_type_schema(schema: Any, root: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema with a single type, without null and with references resolved; None if a reader couldn't tell the type
    of a value.
    """
    for _ in range(MOST_REFERENCES):
        if not isinstance(schema, Mapping):
            return None
        found = {name: value for name, value in schema.items() if name not in ("$ref", "anyOf", "oneOf", "allOf")}
        if "$ref" in schema:
            inner = resolve_pointer(root, schema["$ref"])
        elif keyword := next((name for name in ("anyOf", "oneOf", "allOf") if name in schema), None):
            branches = [branch for branch in schema[keyword] if not is_null(branch)]
            inner = branches[0] if len(branches) == 1 else None
        else:
            return add_type(found)
        if not isinstance(inner, Mapping) or conflicting_keyword(found, inner):
            return None
        schema = {**found, **inner}
    return None


def add_type(schema: dict[str, Any]) -> dict[str, Any] | None:
    named = schema.get("type")
    if isinstance(named, list):
        others = [each for each in named if each != "null"]
        named = others[0] if len(others) == 1 else None
    choices = [choice for choice in schema.get("enum", [schema.get("const")]) if choice is not None]
    if named is None and choices:
        kinds: dict[str, Any] = {"string": str, "boolean": bool, "number": (int, float)}
        named = next((n for n, kind in kinds.items() if all(isinstance(choice, kind) for choice in choices)), None)
    if named is None:
        named = "object" if schema.get("properties") else "array" if "items" in schema else None
    return {**schema, "type": named} if named and named != "null" else None


def is_null(schema: Any) -> bool:
    return isinstance(schema, Mapping) and (schema.get("type") == "null" or schema.get("const", 0) is None)
