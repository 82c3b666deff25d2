"""Arguments in syntaxes other than JSON: random ones are valid, and unenforceable schemas are refused."""

import json
import random
from typing import Any

import jsonschema
import pytest

from oruel.constraints.grammar import GrammarConstraint
from oruel.constraints.spec import RulesSpec, rules_spec
from oruel.constraints.tokens import TokenTable
from oruel.errors import UnsupportedParameter
from oruel.text.answer.plain_reader import PlainReader
from oruel.text.arguments.tagged import TagSyntax
from oruel.text.formats.families import GEMMA_4, KIMI_K3, LFM2, MINIMAX_M3, MUSE, Family
from oruel.text.formats.reasoning import State
from oruel.text.grammars.calls import CallGrammar
from oruel.text.grammars.plain import PlainGrammars
from oruel.text.lark import TERMINALS, Lark
from oruel.text.placeholders import INDEX, NAME_AGAIN
from oruel.types import Tool
from tests.text.formats.test_families import allows, drawn, may_end
from tests.text.vocabularies import ByteVocabulary

FORMS = {"Python": LFM2.formats[0], "Gemma": GEMMA_4.formats[0]}
TEXT = {"type": "string", "maxLength": 5}
SCHEMAS: dict[str, dict[str, Any]] = {
    "optional": {"properties": {"a": {"type": "null"}, "b": {"type": "boolean"}, "c": {"type": "number"}}},
    "required last": {"properties": {"b": {"type": "boolean"}, "a": TEXT}, "required": ["a"]},
    "required between": {
        "properties": {"b": {"type": "boolean"}, "d": {"type": "integer", "minimum": -5, "maximum": 5}, "e": {}},
        "required": ["d"],
    },
    "nested": {
        "properties": {
            "place": {
                "type": "object",
                "properties": {"name": TEXT, "at": {"type": "array", "items": {"type": "number"}, "maxItems": 2}},
                "required": ["name"],
                "additionalProperties": False,
            },
            "tags": {"type": "array", "items": {"enum": ["x", "it's", 1, None, True]}, "minItems": 1, "maxItems": 3},
        },
        "required": ["place", "tags"],
    },
    "union": {
        "properties": {
            "a": {"anyOf": [{"type": "integer", "maximum": 9, "minimum": 0}, {"type": "null"}], "title": "A"},
            "b": {"type": ["boolean", "null"]},
            "c": {"const": {"k": [1, "x", False]}},
        },
        "required": ["a", "b", "c"],
    },
    "recursive": {
        "properties": {"tree": {"$ref": "#/$defs/tree"}},
        "required": ["tree"],
        "$defs": {
            "tree": {
                "type": "object",
                "properties": {"leaf": {"type": "boolean"}, "next": {"$ref": "#/$defs/tree"}},
                "required": ["leaf"],
                "additionalProperties": False,
            }
        },
    },
    "recursive by way of null": {
        "properties": {"node": {"$ref": "#/$defs/node"}},
        "required": ["node"],
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "a": {"type": "boolean"},
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}], "description": "More."},
                },
                "required": ["a"],
                "additionalProperties": False,
            }
        },
    },
    "map": {
        "properties": {
            "counts": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 3}}
        },
        "required": ["counts"],
    },
    "lengths": {"properties": {"a": {"type": "string", "minLength": 2, "maxLength": 3}}, "required": ["a"]},
}  # fmt: skip
# Every value has a single type that its schema states, and every property a name.
ELEMENTS: dict[str, dict[str, Any]] = {
    "nested": {
        "properties": {
            "place": {
                "type": "object",
                "properties": {
                    "name": TEXT,
                    "at": {"type": "array", "items": {"type": "number"}, "maxItems": 2},
                    "rows": {"type": "array", "items": {"type": "array", "items": TEXT, "maxItems": 2}, "minItems": 1},
                },
                "required": ["name", "rows"],
                "additionalProperties": False,
            },
            "tags": {"type": "array", "items": {"enum": ["x", "it's"]}, "minItems": 1, "maxItems": 3},
        },
        "required": ["place", "tags"],
    },
    "union with null": {
        "properties": {
            "a": {"anyOf": [{"type": "integer", "maximum": 9, "minimum": 0}, {"type": "null"}], "title": "A"},
            "b": {"type": ["boolean", "null"]},
            "c": {"enum": [1, 2, None]},
        },
        "required": ["a"],
    },
    **{name: SCHEMAS[name] for name in ("required last", "recursive", "recursive by way of null", "lengths")},
}
EVERY = [(name, schema) for name in FORMS for schema in SCHEMAS.values()]
EVERY += [("MiniMax", schema) for schema in ELEMENTS.values()]
FORMS["MiniMax"] = MINIMAX_M3.formats[0]

BOTH = ("Python", "Gemma")
ALL = (*BOTH, "MiniMax")
REFUSED: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    '"a-b"': ({"properties": {"a-b": TEXT}}, BOTH),
    "pattern": ({"properties": {"a": {"type": "string", "pattern": "^x+$"}}}, ("Gemma", "MiniMax")),
    "format": ({"properties": {"a": {"type": "string", "format": "date"}}}, ("Gemma", "MiniMax")),
    "prefixItems": ({"properties": {"a": {"type": "array", "prefixItems": [TEXT]}}}, ALL),
    "patternProperties": ({"properties": {"a": {"type": "object", "patternProperties": {"x": TEXT}}}}, ALL),
    "minProperties": ({"properties": {"a": TEXT}, "minProperties": 1}, ALL),
    "allOf": ({"properties": {"a": {"allOf": [TEXT, {"minLength": 2}]}}}, ALL),
    '$ref "https://x"': ({"properties": {"a": {"$ref": "https://x"}}}, ALL),
    '"b" without a schema': ({"properties": {"a": TEXT}, "required": ["b"]}, ALL),
    "minLength next to $ref": (
        {"properties": {"a": {"$ref": "#/$defs/x", "minLength": 1}}, "$defs": {"x": TEXT}},
        BOTH,
    ),
    "anyOf": ({"properties": {"a": {"minLength": 3, "anyOf": [{"type": "string", "minLength": 1}]}}}, ALL),
    "enum values": ({"properties": {"a": {"enum": list(range(20_000))}}}, ALL),
    "more than one type": ({"properties": {"a": {"type": ["string", "integer"]}}}, ("MiniMax",)),
    "an object without declared properties": ({"properties": {"a": {"type": "object"}}}, ("MiniMax",)),
    "items without a schema": ({"properties": {"a": {"type": "array"}}}, ("MiniMax",)),
}  # fmt: skip


def forms(name: str, schema: dict[str, Any]) -> RulesSpec:
    tool = Tool("f", "", {"type": "object", **schema})
    return PlainGrammars({}, None, ()).calls(FORMS[name], [tool], State.TEXT, must=True, several=False)


@pytest.mark.parametrize(("name", "schema"), EVERY)
def test_random_arguments_are_valid_under_their_schema(name: str, schema: dict[str, Any]) -> None:
    tokens, grammar, whole = TokenTable(ByteVocabulary()), forms(name, schema), 0
    for seed in range(60):
        chance, constraint, text = random.Random(seed), GrammarConstraint(tokens, grammar, 2000), bytearray()
        while len(text) < 1500 and not constraint.is_complete:
            token = drawn(constraint, 257, chance)
            if token == 256:
                break
            constraint.accept(token)
            text.append(token)
        if not may_end(constraint):
            continue
        whole += 1
        tool = Tool("f", "", {"type": "object", **schema})
        reader = PlainReader(None, State.TEXT, FORMS[name], {"f": tool})
        segments = reader.feed(text.decode()) + reader.finish()
        arguments = "".join(call.arguments for segment in segments for call in segment.calls)
        assert reader.has_complete_calls, f"seed {seed}: {text.decode()}"
        jsonschema.validate(json.loads(arguments), schema)
    assert whole > 20


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("name", FORMS)
def test_keywords_that_the_syntax_cannot_enforce_are_refused_by_name(name: str, what: str) -> None:
    schema, where = REFUSED[what]
    if name not in where:
        forms(name, schema)
        return
    with pytest.raises(UnsupportedParameter) as refused:
        forms(name, schema)
    assert what in refused.value.message
    assert refused.value.param == "tools"


@pytest.mark.parametrize("family", [MUSE, KIMI_K3], ids=lambda family: family.name)
def test_tags_enforce_string_lengths_and_refuse_other_string_keywords(family: Family) -> None:
    def made(described: dict[str, Any]) -> str:
        tool = Tool("f", "", {"type": "object", "properties": {"a": described}, "required": ["a"]})
        return CallGrammar(Lark({}), family.formats[0], [tool], several=False).rules

    tokens, written = TokenTable(ByteVocabulary()), {}
    for text in ["x", "xy", "xyz", "xyzz"]:
        rules = f"%llguidance {{}}\nstart: calls\n{TERMINALS}" + made(
            {"type": "string", "minLength": 2, "maxLength": 3}
        )
        form = family.formats[0]
        assert isinstance(form.arguments, TagSyntax)
        tag = f"{form.arguments.before_key}a{form.arguments.after_key}{text}{form.arguments.after_value}"
        middle = form.middle.replace(NAME_AGAIN, "f").replace(INDEX, "1")
        constraint = GrammarConstraint(tokens, rules_spec(rules, "tools"), 500)
        written[text] = allows(constraint, f"f{middle}{tag}{form.end}".encode())
    assert written == {"x": False, "xy": True, "xyz": True, "xyzz": False}
    for keyword, value in {"pattern": "x", "format": "date"}.items():
        with pytest.raises(UnsupportedParameter, match=keyword):
            made({"type": "string", keyword: value})


def test_quoted_arguments_are_read_as_the_json_they_stand_for() -> None:
    written = {
        "Python": """[f(a="x'", b='it\\'s "so"', c=[1, True, None], d={"k": False, "l": -1.5e3})]<|tool_call_end|>""",
        "Gemma": """f{a:<|"|>x'<|"|>,b:<|"|>it's "so"<|"|>,c:[1,true,null],d:{k:false,l:-1.5e3}}<tool_call|>""",
    }
    for name, text in written.items():
        whole = FORMS[name].begin.removesuffix("[") + text
        for length in range(1, 9):
            reader = PlainReader(None, State.TEXT, FORMS[name], {"f": Tool("f")})
            pieces = [whole[start : start + length] for start in range(0, len(whole), length)]
            segments = [segment for piece in pieces for segment in reader.feed(piece)] + reader.finish()
            arguments = "".join(call.arguments for segment in segments for call in segment.calls)
            assert json.loads(arguments) == {
                "a": "x'", "b": 'it\'s "so"', "c": [1, True, None], "d": {"k": False, "l": -1500.0},
            }  # fmt: skip
            assert reader.has_complete_calls


def test_an_enum_value_that_looks_like_a_grammar_is_text() -> None:
    choices = ["%json {", "\x1f", "start: x"]
    spec = forms("Python", {"properties": {"a": {"enum": choices}}, "required": ["a"]})
    assert spec.schemas == ()
    tokens = TokenTable(ByteVocabulary())
    assert allows(GrammarConstraint(tokens, spec, 500), b'<|tool_call_start|>[f(a="%json {")]<|tool_call_end|>')
