"""Grammar rules for arguments in a quoted syntax, as far as it can express a JSON Schema."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from oruel.constraints.spec import embedded
from oruel.errors import SchemaRefused, UnsupportedParameter
from oruel.json_schema.keywords import ANNOTATIONS, DEFINITIONS
from oruel.json_schema.references import plain_references, resolve_pointer
from oruel.text.arguments.elements import conflict
from oruel.text.arguments.quoted import QuotedSyntax
from oruel.text.lark import Lark, quote, without

MAX_CHOICES = 1000
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
TAGGED_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
APOSTROPHES = r"""/'([^'\\]|\\['"\\bfnrt])*'/"""

LENGTHS = {"minLength", "maxLength"}
NUMBERS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
# The keywords that are enforced for each type.
HELD = {
    "string": {"pattern", "format"} | LENGTHS,
    "number": NUMBERS,
    "integer": NUMBERS,
    "boolean": set[str](),
    "null": set[str](),
    "array": {"items", "minItems", "maxItems"},
    "object": {"properties", "required", "additionalProperties"},
}
# Keywords that restrict nothing, or that no syntax can enforce, which a response header reports.
IGNORED = ANNOTATIONS | DEFINITIONS
IGNORED |= {"type", "nullable", "strict", "uniqueItems", "contains", "not", "if", "then", "else", "discriminator"}


class QuotedRules:
    """`rules` define what the expressions returned by `arguments` refer to; their names begin with `prefix`. `where`
    names the schema in messages. Raises UnsupportedParameter for keywords that the syntax can't enforce.
    """

    def __init__(self, lark: Lark, spelling: QuotedSyntax, prefix: str, where: str) -> None:
        self._lark = lark
        self._spelling = spelling
        self._prefix = prefix
        self._where = where
        self._definitions: Mapping[str, Any] = {}
        self._referred: dict[str, str] = {}
        self._lines: list[str] = []
        self._any = ""

    @property
    def rules(self) -> str:
        return "".join(self._lines)

    def arguments(self, schema: Mapping[str, Any]) -> str:
        schema = self._definitions = with_plain_references(schema, self._where)
        self._check(schema, "object", "")
        return self._members(schema, self._spelling.assign, "")

    def _refuse(self, path: str, what: str) -> NoReturn:
        refuse(self._where + path, what)

    def _rule(self, body: str) -> str:
        name = f"{self._prefix}s{len(self._lines)}"
        self._lines.append(f"{name}: {body}\n")
        return name

    def _value(self, schema: Any, path: str) -> str:
        if schema is True or schema == {}:
            return self._anything
        if not isinstance(schema, Mapping):
            self._refuse(path, json.dumps(schema))
        if "$ref" in schema:
            for keyword in schema.keys() - IGNORED - {"$ref"}:
                self._refuse(path, f"{keyword} beside $ref")
            return self._reference(schema["$ref"], path)
        if "enum" in schema or "const" in schema:
            return self._choice(schema.get("enum", [schema.get("const")]), path)
        for keyword in ("anyOf", "oneOf", "allOf"):
            if keyword in schema:
                return self._combined(keyword, schema, path)
        named = schema.get("type") or infer_type(schema)
        if named is None:
            self._check(schema, "null", path)
            return self._anything
        if not isinstance(named, str):
            return either(self._typed(name, keywords_of_type(schema, name), path) for name in named)
        return self._typed(named, schema, path)

    def _combined(self, keyword: str, schema: Mapping[str, Any], path: str) -> str:
        rest = {name: value for name, value in schema.items() if name != keyword}
        if keyword == "allOf" and len(schema[keyword]) != 1:
            self._refuse(path, keyword)
        ways: list[str] = []
        for number, each in enumerate(schema[keyword]):
            if both := conflict(rest, each):
                self._refuse(path, f"{both} beside {keyword}")
            joined = {**rest, **each} if isinstance(each, Mapping) else each
            ways.append(self._value(joined, f"{path}.{keyword}[{number}]"))
        return either(ways)

    def _reference(self, reference: str, path: str) -> str:
        if reference not in self._referred:
            name = f"{self._prefix}r{len(self._referred)}"
            self._referred[reference] = name
            self._lines.append(f"{name}: {self._value(self._resolved(reference, path), path)}\n")
        return self._referred[reference]

    def _resolved(self, reference: str, path: str) -> Any:
        found = resolve_pointer(self._definitions, reference)
        if found is None:
            self._refuse(path, f"$ref {reference}")
        return found

    def _typed(self, named: str, schema: Mapping[str, Any], path: str) -> str:
        self._check(schema, named, path)
        if named == "string":
            return self._text(schema, path)
        if named in ("number", "integer"):
            return self._rule(embedded({"type": named, **pick(schema, NUMBERS)}))
        if named in ("boolean", "null"):
            return self._words("null" if named == "null" else "true", "null" if named == "null" else "false")
        if named == "array":
            return self._array(schema, path)
        return self._object(schema, path)

    def _check(self, schema: Mapping[str, Any], named: str, path: str) -> None:
        check_keywords(schema, named, self._where + path)

    def _text(self, schema: Mapping[str, Any], path: str) -> str:
        limits = pick(schema, HELD["string"])
        if not self._spelling.quote:
            as_json = embedded({"type": "string", **limits})
            return self._rule(as_json) if limits else either([self._rule(as_json), self._apostrophes])
        for keyword in limits:
            if keyword not in LENGTHS:
                self._refuse(path, keyword)
        return self._raw(limits.get("minLength", 0), limits.get("maxLength", ""))

    def _raw(self, least: int, most: int | str) -> str:
        """Text between two quotes, without escapes."""
        terminal = f"{self._prefix}T{len(self._lines)}".upper()
        plain = [] if self._lark.is_control(self._spelling.quote) else [self._spelling.quote]
        held = f" & /(.|\\n){{{least},{most}}}/" if least or most != "" else ""
        self._lines.append(without(terminal, plain).rstrip("\n") + f"{held}\n")
        rule = terminal.lower()
        self._lines.append(self._lark.up_to(rule, self._spelling.quote, terminal))
        return self._rule(f"{self._lark.literal(self._spelling.quote)} {rule}")

    @property
    def _apostrophes(self) -> str:
        terminal = f"{self._prefix}T{len(self._lines)}".upper()
        self._lines.append(f"{terminal}: {APOSTROPHES}\n")
        return terminal

    def _words(self, *wanted: str) -> str:
        return either(quote(word) for word, meant in self._spelling.words.items() if meant in wanted)

    def _array(self, schema: Mapping[str, Any], path: str) -> str:
        item = self._rule(self._value(schema.get("items", True), f"{path}.items"))
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        if most == 0:
            return '"[]"'
        if most is not None and most < least:
            self._refuse(path, "maxItems below minItems")
        bounds = f"{{{max(least - 1, 0)},{'' if most is None else most - 1}}}"
        items = f"{item} ({quote(self._spelling.comma)} {item}){bounds}"
        return self._rule(f'"[" {items if least else f"({items})?"} "]"')

    def _object(self, schema: Mapping[str, Any], path: str) -> str:
        more = schema.get("additionalProperties", True)
        if schema.get("properties") or more is False:
            return self._rule(f'"{{" {self._members(schema, self._spelling.nested, path)} "}}"')
        value = self._rule(self._value(more, f"{path}.additionalProperties"))
        pair = self._rule(f"{self._free_key} {quote(self._spelling.nested)} {value}")
        pairs = f"{pair} ({quote(self._spelling.comma)} {pair})*"
        return self._rule(f'"{{" {pairs if schema.get("required") else f"({pairs})?"} "}}"')

    @property
    def _free_key(self) -> str:
        if self._spelling.quotes_keys:
            return self._rule(embedded({"type": "string"}))
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
        names = sorted(properties, key=str.lower) if self._spelling.sorts else list(properties)
        members = [
            (
                self._rule(f"{self._key(key, assign, path)} {self._value(properties[key], f'{path}.{key}')}"),
                key in required,
            )
            for key in names
        ]
        return self._chain(members)

    def _key(self, key: str, assign: str, path: str) -> str:
        if self._spelling.quotes_keys and assign == self._spelling.nested:
            return quote(json.dumps(key, ensure_ascii=False) + assign)
        if not IDENTIFIER.fullmatch(key):
            self._refuse(path, f"the property {json.dumps(key, ensure_ascii=False)}")
        return quote(key + assign)

    def _chain(self, members: Sequence[tuple[str, bool]]) -> str:
        firsts: list[str] = []
        rest = ""
        for place, (member, is_required) in reversed(list(enumerate(members))):
            if all(not needed for _, needed in members[:place]):
                firsts.append(f"{member} {rest}")
            following = f"{quote(self._spelling.comma)} {member}"
            rest = self._rule(f"{following if is_required else f'({following})?'} {rest}")
        if not firsts:
            return ""
        return either(firsts) if any(needed for _, needed in members) else f"{either(firsts)}?"

    def _choice(self, choices: Sequence[Any], path: str) -> str:
        if len(choices) > MAX_CHOICES:
            self._refuse(path, f"{len(choices)} values to choose from, more than {MAX_CHOICES}")
        return self._rule(either(way for choice in choices for way in self._ways(choice)))

    def _ways(self, value: Any) -> list[str]:
        """A given value, as one expression for each way to write it."""
        if isinstance(value, str) and not self._spelling.quote:
            text = json.dumps(value, ensure_ascii=False)
            return [quote(text), *([quote(f"'{value}'")] if text[1:-1] == value and "'" not in value else [])]
        if value is None or isinstance(value, bool):
            return [self._words(json.dumps(value))]
        return [self._lark.literal(self._written(value))]

    def _written(self, value: Any) -> str:
        spelling = self._spelling
        if isinstance(value, str) and spelling.quote:
            return f"{spelling.quote}{value}{spelling.quote}"
        if value is None or isinstance(value, bool):
            return next(word for word, meant in spelling.words.items() if meant == json.dumps(value))
        if isinstance(value, list):
            return f"[{spelling.comma.join(map(self._written, value))}]"
        if isinstance(value, dict):
            keys = {key: json.dumps(key, ensure_ascii=False) if spelling.quotes_keys else key for key in value}
            pairs = (f"{keys[key]}{spelling.nested}{self._written(item)}" for key, item in value.items())
            return f"{{{spelling.comma.join(pairs)}}}"
        return json.dumps(value, ensure_ascii=False)

    @property
    def _anything(self) -> str:
        if not self._any:
            self._any = f"{self._prefix}any"
            ways = [self._typed(named, {}, "") for named in ("string", "number", "boolean", "null", "array", "object")]
            self._lines.append(f"{self._any}: {either(ways)}\n")
        return self._any


def refuse(where: str, what: str) -> NoReturn:
    raise UnsupportedParameter(
        f"{where} has {what}, which can't be enforced in this model's call format. Leave it out.", param="tools"
    )


def with_plain_references(schema: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Raises UnsupportedParameter for a reference to nothing in the schema."""
    try:
        return plain_references(schema)
    except SchemaRefused as error:
        raise UnsupportedParameter(f"{where} can't be enforced: {error.message}.", param="tools") from error


def check_keywords(schema: Mapping[str, Any], named: str, where: str) -> None:
    """Raises UnsupportedParameter for a keyword that isn't enforced for this type."""
    for keyword in schema:
        if keyword not in HELD.get(named, ()) and keyword not in IGNORED and not keyword.startswith(("x-", "$")):
            refuse(where, keyword)
    if named not in HELD:
        refuse(where, f"type {named}")


def check_tagged(schema: Mapping[str, Any], where: str) -> None:
    """The same for arguments in tags, where strings are verbatim and other values are JSON."""
    check_keywords(schema, "object", where)
    properties = schema.get("properties") or {}
    for key in schema.get("required", ()):
        if key not in properties:
            refuse(where, f"the required property {json.dumps(key)} without a schema")
    for key, described in properties.items():
        if not TAGGED_KEY.fullmatch(key):
            refuse(where, f"the property {json.dumps(key, ensure_ascii=False)}")
        if isinstance(described, Mapping) and "string" in described.get("type", ()):
            for keyword in sorted(HELD["string"] - LENGTHS):
                if keyword in described:
                    refuse(f"{where}.{key}", keyword)


def either(ways: Any) -> str:
    return f"({' | '.join(ways)})"


def pick(schema: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name in names}


def keywords_of_type(schema: Mapping[str, Any], named: str) -> dict[str, Any]:
    """The schema without the keywords of other types."""
    others = {keyword for name, keywords in HELD.items() if name != named for keyword in keywords} - HELD.get(
        named, set()
    )
    return {name: value for name, value in schema.items() if name not in others}


def infer_type(schema: Mapping[str, Any]) -> str | None:
    """The type that the keywords imply, if the schema doesn't say."""
    return next((name for name, keywords in HELD.items() if keywords.intersection(schema)), None)
