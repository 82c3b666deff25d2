"""Arguments in a quoted syntax other than JSON, such as Python's or Gemma's."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from oruel.constraints.spec import schema_expression
from oruel.json_schema.references import resolve_pointer
from oruel.text.arguments.schema_checks import (
    ENFORCED,
    IGNORED,
    LENGTHS,
    MAX_CHOICES,
    NUMBERS,
    SchemaRules,
    check_keywords,
    conflicting_keyword,
    pick_keywords,
    require_plain_references,
)
from oruel.text.arguments.syntax import ArgumentGrammar, ArgumentSyntax
from oruel.text.lark import Lark, either, quote, terminal_without
from oruel.text.matching import overlap

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
APOSTROPHES = r"""/'([^'\\]|\\['"\\bfnrt])*'/"""
WORD = re.compile(r"""[^\s,:=\[\]{}()<>'"]+(?=[\s,:=\[\]{}()<>'"])""")
PLAIN = {'"': re.compile(r'(?:[^"\\]|\\.)+', re.DOTALL), "'": re.compile(r"[^'\\]+")}

WORDS = {"true": "true", "false": "false", "null": "null"}
PYTHON_WORDS = {"True": "true", "False": "false", "None": "null"}


@dataclass(frozen=True, slots=True)
class QuotedSyntax(ArgumentSyntax):
    """(key assign value comma …). Inside objects, `nested` takes the place of `assign`, and keys are strings if
    `quotes_keys` is set. Strings are written without escapes between two `quote` texts; if `quote` is empty, they are
    written as in JSON or between apostrophes. `words` maps the words of the syntax, all of which may be written, to
    JSON's. `sorts`: properties are in order of their names.
    """

    assign: str
    nested: str
    comma: str
    quote: str = ""
    quotes_keys: bool = True
    sorts: bool = False
    words: Mapping[str, str] = field(default_factory=lambda: PYTHON_WORDS | WORDS)

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.quote,) if self.quote else ()

    def grammar(self, lark: Lark, schema: Mapping[str, Any], *, prefix: str, where: str) -> ArgumentGrammar:
        rules = QuotedRules(lark, self, prefix, where)
        return ArgumentGrammar(rules.arguments(schema), rules.rules)

    def reader(self, parameters: Mapping[str, Any], follows: re.Pattern[str]) -> "QuotedReader":
        return QuotedReader(self)


PYTHON = QuotedSyntax("=", ": ", ", ")
GEMMA = QuotedSyntax(":", ":", ",", '<|"|>', quotes_keys=False, sorts=True, words=WORDS | {"None": "null"})


class QuotedRules(SchemaRules):
    """`rules` define what the expressions returned by `arguments` refer to; their names begin with `prefix`. `where`
    names the schema in messages. Raises UnsupportedParameter for keywords that the syntax can't enforce.
    """

    def __init__(self, lark: Lark, syntax: QuotedSyntax, prefix: str, where: str) -> None:
        self._lark = lark
        self._syntax = syntax
        super().__init__(prefix, where)
        self._definitions: Mapping[str, Any] = {}
        self._any = ""

    def arguments(self, schema: Mapping[str, Any]) -> str:
        schema = self._definitions = require_plain_references(schema, self._where)
        self._check(schema, "object", "")
        return self._members(schema, self._syntax.assign, "")

    def _value(self, schema: Any, path: str) -> str:
        if schema is True or schema == {}:
            return self._anything
        if not isinstance(schema, Mapping):
            self._refuse(path, json.dumps(schema))
        if "$ref" in schema:
            for keyword in schema.keys() - IGNORED - {"$ref"}:
                self._refuse(path, f"{keyword} next to $ref")
            return self._reference(schema["$ref"], path)
        if "enum" in schema or "const" in schema:
            return self._choice(schema.get("enum", [schema.get("const")]), path)
        for keyword in ("anyOf", "oneOf", "allOf"):
            if keyword in schema:
                return self._combine(keyword, schema, path)
        named = schema.get("type") or infer_type(schema)
        if named is None:
            self._check(schema, "null", path)
            return self._anything
        if not isinstance(named, str):
            return either(self._typed(name, keywords_of_type(schema, name), path) for name in named)
        return self._typed(named, schema, path)

    def _combine(self, keyword: str, schema: Mapping[str, Any], path: str) -> str:
        rest = {name: value for name, value in schema.items() if name != keyword}
        if keyword == "allOf" and len(schema[keyword]) != 1:
            self._refuse(path, keyword)
        branches: list[str] = []
        for number, each in enumerate(schema[keyword]):
            if both := conflicting_keyword(rest, each):
                self._refuse(path, f"{both} next to {keyword}")
            joined = {**rest, **each} if isinstance(each, Mapping) else each
            branches.append(self._value(joined, f"{path}.{keyword}[{number}]"))
        return either(branches)

    def _reference(self, reference: str, path: str) -> str:
        if reference not in self._references:
            name = f"{self._prefix}r{len(self._references)}"
            self._references[reference] = name
            self._lines.append(f"{name}: {self._value(self._resolve(reference, path), path)}\n")
        return self._references[reference]

    def _resolve(self, reference: str, path: str) -> Any:
        found = resolve_pointer(self._definitions, reference)
        if found is None:
            self._refuse(path, f"$ref {reference}")
        return found

    def _typed(self, named: str, schema: Mapping[str, Any], path: str) -> str:
        self._check(schema, named, path)
        if named == "string":
            return self._text(schema, path)
        if named in ("number", "integer"):
            return self._rule(schema_expression({"type": named, **pick_keywords(schema, NUMBERS)}))
        if named in ("boolean", "null"):
            return self._words("null" if named == "null" else "true", "null" if named == "null" else "false")
        if named == "array":
            return self._array(schema, path)
        return self._object(schema, path)

    def _check(self, schema: Mapping[str, Any], named: str, path: str) -> None:
        check_keywords(schema, named, self._where + path)

    def _text(self, schema: Mapping[str, Any], path: str) -> str:
        limits = pick_keywords(schema, ENFORCED["string"])
        if not self._syntax.quote:
            as_json = schema_expression({"type": "string", **limits})
            return self._rule(as_json) if limits else either([self._rule(as_json), self._apostrophes])
        for keyword in limits:
            if keyword not in LENGTHS:
                self._refuse(path, keyword)
        return self._raw(limits.get("minLength", 0), limits.get("maxLength", ""))

    def _raw(self, least: int, most: int | str) -> str:
        """Text between two quotes, without escapes."""
        terminal = f"{self._prefix}T{len(self._lines)}".upper()
        plain = [] if self._lark.is_control(self._syntax.quote) else [self._syntax.quote]
        held = f" & /(.|\\n){{{least},{most}}}/" if least or most != "" else ""
        self._lines.append(terminal_without(terminal, plain).rstrip("\n") + f"{held}\n")
        rule = terminal.lower()
        self._lines.append(self._lark.up_to(rule, self._syntax.quote, terminal))
        return self._rule(f"{self._lark.literal(self._syntax.quote)} {rule}")

    @property
    def _apostrophes(self) -> str:
        terminal = f"{self._prefix}T{len(self._lines)}".upper()
        self._lines.append(f"{terminal}: {APOSTROPHES}\n")
        return terminal

    def _words(self, *wanted: str) -> str:
        return either(quote(word) for word, meant in self._syntax.words.items() if meant in wanted)

    def _array(self, schema: Mapping[str, Any], path: str) -> str:
        item = self._rule(self._value(schema.get("items", True), f"{path}.items"))
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        if most == 0:
            return '"[]"'
        if most is not None and most < least:
            self._refuse(path, "maxItems below minItems")
        bounds = f"{{{max(least - 1, 0)},{'' if most is None else most - 1}}}"
        items = f"{item} ({quote(self._syntax.comma)} {item}){bounds}"
        return self._rule(f'"[" {items if least else f"({items})?"} "]"')

    def _object(self, schema: Mapping[str, Any], path: str) -> str:
        more = schema.get("additionalProperties", True)
        if schema.get("properties") or more is False:
            return self._rule(f'"{{" {self._members(schema, self._syntax.nested, path)} "}}"')
        value = self._rule(self._value(more, f"{path}.additionalProperties"))
        pair = self._rule(f"{self._free_key} {quote(self._syntax.nested)} {value}")
        pairs = f"{pair} ({quote(self._syntax.comma)} {pair})*"
        return self._rule(f'"{{" {pairs if schema.get("required") else f"({pairs})?"} "}}"')

    @property
    def _free_key(self) -> str:
        if self._syntax.quotes_keys:
            return self._rule(schema_expression({"type": "string"}))
        terminal = f"{self._prefix}T{len(self._lines)}".upper()
        self._lines.append(f"{terminal}: /{IDENTIFIER.pattern}/\n")
        return terminal

    def _members(self, schema: Mapping[str, Any], assign: str, path: str) -> str:
        """The declared properties, with commas between those that are present."""
        properties = dict(schema.get("properties") or {})
        required = schema.get("required", ())
        for key in required:
            if key not in properties:
                self._refuse(path, f"the required property {json.dumps(key)} without a schema")
        names = sorted(properties, key=str.lower) if self._syntax.sorts else list(properties)
        members = [
            (
                self._rule(f"{self._key(key, assign, path)} {self._value(properties[key], f'{path}.{key}')}"),
                key in required,
            )
            for key in names
        ]
        return self._chain(members)

    def _key(self, key: str, assign: str, path: str) -> str:
        if self._syntax.quotes_keys and assign == self._syntax.nested:
            return quote(json.dumps(key, ensure_ascii=False) + assign)
        if not IDENTIFIER.fullmatch(key):
            self._refuse(path, f"the property name {json.dumps(key, ensure_ascii=False)}")
        return quote(key + assign)

    def _chain(self, members: Sequence[tuple[str, bool]]) -> str:
        firsts: list[str] = []
        rest = ""
        for place, (member, is_required) in reversed(list(enumerate(members))):
            if all(not needed for _, needed in members[:place]):
                firsts.append(f"{member} {rest}")
            following = f"{quote(self._syntax.comma)} {member}"
            rest = self._rule(f"{following if is_required else f'({following})?'} {rest}")
        if not firsts:
            return ""
        return either(firsts) if any(needed for _, needed in members) else f"{either(firsts)}?"

    def _choice(self, choices: Sequence[Any], path: str) -> str:
        if len(choices) > MAX_CHOICES:
            self._refuse(path, f"{len(choices)} enum values, more than {MAX_CHOICES}")
        return self._rule(either(spelling for choice in choices for spelling in self._spellings(choice)))

    def _spellings(self, value: Any) -> list[str]:
        """A given value, as one expression for each way to write it."""
        if isinstance(value, str) and not self._syntax.quote:
            text = json.dumps(value, ensure_ascii=False)
            return [quote(text), *([quote(f"'{value}'")] if text[1:-1] == value and "'" not in value else [])]
        if value is None or isinstance(value, bool):
            return [self._words(json.dumps(value))]
        return [self._lark.literal(self._write(value))]

    def _write(self, value: Any) -> str:
        syntax = self._syntax
        if isinstance(value, str) and syntax.quote:
            return f"{syntax.quote}{value}{syntax.quote}"
        if value is None or isinstance(value, bool):
            return next(word for word, meant in syntax.words.items() if meant == json.dumps(value))
        if isinstance(value, list):
            return f"[{syntax.comma.join(map(self._write, value))}]"
        if isinstance(value, dict):
            keys = {key: json.dumps(key, ensure_ascii=False) if syntax.quotes_keys else key for key in value}
            pairs = (f"{keys[key]}{syntax.nested}{self._write(item)}" for key, item in value.items())
            return f"{{{syntax.comma.join(pairs)}}}"
        return json.dumps(value, ensure_ascii=False)

    @property
    def _anything(self) -> str:
        if not self._any:
            self._any = f"{self._prefix}any"
            types = [self._typed(named, {}, "") for named in ("string", "number", "boolean", "null", "array", "object")]
            self._lines.append(f"{self._any}: {either(types)}\n")
        return self._any


def keywords_of_type(schema: Mapping[str, Any], named: str) -> dict[str, Any]:
    """The schema without the keywords of other types."""
    others = {keyword for name, keywords in ENFORCED.items() if name != named for keyword in keywords} - ENFORCED.get(
        named, set()
    )
    return {name: value for name, value in schema.items() if name not in others}


def infer_type(schema: Mapping[str, Any]) -> str | None:
    """The type that the keywords imply, if the schema doesn't say."""
    return next((name for name, keywords in ENFORCED.items() if keywords.intersection(schema)), None)


class QuotedReader:
    """Implements ArgumentReader. A closing bracket without an open one ends the arguments."""

    def __init__(self, syntax: QuotedSyntax) -> None:
        self._syntax = syntax
        self._quotes = [syntax.quote] if syntax.quote else ['"', "'"]
        self._quote = ""  # quote of the current string
        self._depth = 0
        self._is_open = False
        self.is_complete = False

    def take(self, text: str) -> tuple[int, str] | None:
        if not self._is_open:
            self._is_open = True
            return 0, "{"
        return self._in_string(text) if self._quote else self._outside(text)

    def _outside(self, text: str) -> tuple[int, str] | None:
        opened = next((quote for quote in self._quotes if text.startswith(quote)), None)
        if opened:
            self._quote = opened
            return len(opened), '"'
        if any(quote.startswith(text) for quote in self._quotes):
            return None
        if text[0] in "[{":
            self._depth += 1
            return 1, text[0]
        if text[0] in ")}]":
            return self._close(text[0])
        if text[0] in ",:":
            return 1, f"{text[0]} "
        if text[0].isspace():
            return 1, ""
        return self._word(text)

    def _close(self, bracket: str) -> tuple[int, str]:
        if self._depth:
            self._depth -= 1
            return 1, bracket
        self.is_complete = True
        return 0, "}"

    def _word(self, text: str) -> tuple[int, str] | None:
        """A key, if the separator of keys and values follows; otherwise a number or one of the words."""
        found = WORD.match(text)
        if not found:
            return None
        if text[found.end()] in "=:":
            return found.end() + 1, f"{json.dumps(found[0], ensure_ascii=False)}: "
        return found.end(), self._syntax.words.get(found[0], found[0])

    def _in_string(self, text: str) -> tuple[int, str] | None:
        if text.startswith(self._quote):
            length, self._quote = len(self._quote), ""
            return length, '"'
        if self._syntax.quote:
            return self._raw(text)
        if self._quote == "'" and text[0] == "\\":
            return self._escape(text)
        found = PLAIN[self._quote].match(text)
        if not found:
            return None
        return found.end(), found[0] if self._quote == '"' else escape_json(found[0])

    def _escape(self, text: str) -> tuple[int, str] | None:
        """An escape between apostrophes. JSON has all of them except that of the apostrophe."""
        if len(text) < 2:
            return None
        return 2, "'" if text[1] == "'" else text[:2]

    def _raw(self, text: str) -> tuple[int, str] | None:
        end = text.find(self._quote)
        if end < 0:
            end = len(text) - overlap(text, self._quote)
        return (end, escape_json(text[:end])) if end else None


def escape_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
