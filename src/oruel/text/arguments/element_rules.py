"""Grammar rules for arguments that are written as elements, as far as they can express a JSON Schema."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from oruel.constraints.spec import schema_expression
from oruel.text.arguments.elements import ElementSyntax, single_type_schema
from oruel.text.arguments.quoted_rules import (
    HELD,
    LENGTHS,
    MAX_CHOICES,
    NUMBERS,
    TAGGED_KEY,
    check_keywords,
    either,
    pick,
    refuse,
    with_plain_references,
)
from oruel.text.lark import Lark, quote, without

REFERRING = {"$ref", "anyOf", "oneOf", "allOf"}


class ElementRules:
    """Like QuotedRules, for elements."""

    def __init__(self, lark: Lark, elements: ElementSyntax, prefix: str, where: str) -> None:
        self._lark = lark
        self._elements = elements
        self._prefix = prefix
        self._where = where
        self._root: Mapping[str, Any] = {}
        self._referred: dict[str, str] = {}
        self._lines: list[str] = []

    @property
    def rules(self) -> str:
        return "".join(self._lines)

    def arguments(self, schema: Mapping[str, Any]) -> str:
        schema = self._root = with_plain_references(schema, self._where)
        check_keywords(schema, "object", self._where)
        return self._members(schema, "")

    def _refuse(self, path: str, what: str) -> NoReturn:
        refuse(self._where + path, what)

    def _rule(self, body: str) -> str:
        name = f"{self._prefix}e{len(self._lines)}"
        self._lines.append(f"{name}: {body}\n")
        return name

    def _members(self, schema: Mapping[str, Any], path: str) -> str:
        properties, required = schema.get("properties") or {}, schema.get("required", ())
        for key in required:
            if key not in properties:
                self._refuse(path, f"the required property {json.dumps(key)} without a schema")
        parts = [(key, self._element(key, described, f"{path}.{key}")) for key, described in properties.items()]
        return " ".join(part if key in required else f"({part})?" for key, part in parts)

    def _element(self, key: str, schema: Any, path: str) -> str:
        if not TAGGED_KEY.fullmatch(key):
            self._refuse(path, f"the property {json.dumps(key, ensure_ascii=False)}")
        return f"{self._lark.literal(self._elements.opened(key))} {self._closed(key, schema, path)}"

    def _closed(self, key: str, schema: Any, path: str) -> str:
        """A value and its closing tag."""
        if not (isinstance(schema, Mapping) and REFERRING.intersection(schema)):
            return self._rule(self._value(key, schema, path))
        # The schema may refer to itself.
        name = f"{key} {json.dumps(schema)}"
        if name not in self._referred:
            self._referred[name] = f"{self._prefix}r{len(self._referred)}"
            body = self._value(key, schema, path)
            self._lines.append(f"{self._referred[name]}: {body}\n")
        return self._referred[name]

    def _value(self, key: str, schema: Any, path: str) -> str:
        plain, close = single_type_schema(schema, self._root), self._lark.literal(self._elements.closed(key))
        if plain is None:
            self._refuse(path, ambiguity_of(schema))
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
                self._refuse(path, "properties without names")
            return f"{self._members(plain, path)} {close}"
        if named == "boolean":
            return f'("true" | "false") {close}'
        number = self._rule(schema_expression({"type": named, **pick(plain, NUMBERS)}))
        return f"{number} {close}"

    def _choice(self, schema: Mapping[str, Any], path: str) -> str:
        choices = [choice for choice in schema.get("enum", [schema.get("const")]) if choice is not None]
        if len(choices) > MAX_CHOICES:
            self._refuse(path, f"{len(choices)} values to choose from, more than {MAX_CHOICES}")
        if schema["type"] not in ("string", "number", "integer", "boolean"):
            self._refuse(path, f"a choice of {schema['type']}s")
        return either(quote(choice if isinstance(choice, str) else json.dumps(choice)) for choice in choices)

    def _text(self, schema: Mapping[str, Any], key: str, path: str) -> str:
        for keyword in pick(schema, HELD["string"]):
            if keyword not in LENGTHS:
                self._refuse(path, keyword)
        least, most = schema.get("minLength", 0), schema.get("maxLength", "")
        terminal = f"{self._prefix}T{len(self._lines)}".upper()
        plain = [] if self._lark.is_control(self._elements.mark) else [self._elements.mark]
        held = f" & /(.|\\n){{{least},{most}}}/" if least or most != "" else ""
        self._lines.append(without(terminal, plain).rstrip("\n") + f"{held}\n")
        self._lines.append(self._lark.up_to(terminal.lower(), self._elements.closed(key), terminal))
        return terminal.lower()

    def _items(self, schema: Mapping[str, Any], path: str) -> str:
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        if "items" not in schema:
            self._refuse(path, "items without a schema")
        if most is not None and most < least:
            self._refuse(path, "maxItems below minItems")
        item = self._rule(self._element("item", schema["items"], f"{path}.items"))
        return f"{item}{{{least},{'' if most is None else most}}}"


def ambiguity_of(schema: Any) -> str:
    """Why no reader could tell the type of a value."""
    if isinstance(schema, Mapping) and "$ref" in schema:
        return f"$ref {schema['$ref']}"
    keyword = next((name for name in ("anyOf", "oneOf", "allOf") if isinstance(schema, Mapping) and name in schema), "")
    return f"{keyword} of more than one type" if keyword else "more than one type or none"
