"""Arguments in tags: the grammar allows what the schema does, and the reader returns what was written."""

import json
from typing import Any

import jsonschema
import pytest

from oruel.constraints.tokens import TokenTable
from oruel.errors import InvalidParameter, SchemaRefused, UnsupportedParameter
from oruel.text.answer.plain_reader import PlainReader
from oruel.text.arguments.tagged import TagSyntax, ToolArguments
from oruel.text.arguments.unenforced import describe_unenforced
from oruel.text.formats.calls import ToolFormat
from oruel.text.formats.reasoning import State
from oruel.text.grammars.plain import PlainGrammars
from oruel.text.placeholders import TYPE
from oruel.types import Tool
from tests.text.vocabularies import ByteVocabulary

TAGS = TagSyntax(">\n<parameter=", ">\n", "\n</parameter", ">\n")
CODER = ToolFormat("<tool_call>\n<function=", "", ">\n</function>\n</tool_call>", arguments=TAGS)
INLINE = ToolFormat("<call>", "", "</call>", arguments=TagSyntax("<key>", "</key><value>", "</value>", "</key><value>"))
TYPED = ToolFormat("<call>", "", "</call>", arguments=TagSyntax("<a ", ' is="string">', "</a>", f' is="{TYPE}">'))
FORMATS = {"Qwen3-Coder": CODER, "one line": INLINE, "typed": TYPED}
TOKENS = TokenTable(ByteVocabulary())


def schema(properties: dict[str, Any], required: list[str] | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required or [*properties], **more}


def written(form: ToolFormat, *pairs: tuple[str, str]) -> str:
    tags = form.arguments
    assert isinstance(tags, TagSyntax)
    assert tags
    values = (f"{tags.before_key}{key}{tags.after_key_json}{value}{tags.after_value}" for key, value in pairs)
    return f"{form.begin}f{form.middle}{''.join(values)}{form.end}"


def typed(form: ToolFormat, text: str, name: str) -> str:
    return text.replace(TYPE, name) if form is TYPED else text


def accepts(form: ToolFormat, parameters: dict[str, Any], text: str) -> bool:
    made = PlainGrammars({}, None, ()).calls(form, [Tool("f", "", parameters)], State.TEXT, must=True, several=False)
    matcher = TOKENS.matcher(made.grammar)
    data = list(text.encode())
    return bool(matcher.try_consume_tokens(data) == len(data) and matcher.is_accepting())


def read(form: ToolFormat, parameters: dict[str, Any], text: str) -> Any:
    reader = PlainReader(None, State.TEXT, form, {"f": Tool("f", "", parameters)})
    segments = [segment for character in text for segment in reader.feed(character)] + reader.finish()
    assert reader.has_complete_calls
    return json.loads("".join(piece.arguments for segment in segments for piece in segment.calls))


TEXTS = [
    ({"type": "string", "maxLength": 3.0}, ["", "abc", "é\n<"], ["abcd", "wrong text"]),
    ({"type": "string", "minLength": 2, "maxLength": 4}, ["ab", "abcd"], ["", "a", "abcde"]),
    ({"type": "string", "minLength": 20}, ["a" * 20, "b" * 300], ["a" * 19]),
    ({"type": "string", "const": "yes"}, ["yes"], ["no", "yes!", '"yes"']),
    ({"type": "string", "enum": ["a", "bc"], "minLength": 1}, ["a", "bc"], ["b", "abc"]),
    ({"$ref": "#/$defs/x"}, ["p", "q"], ["r", '"p"']),
    ({"allOf": [{"$ref": "#/$defs/x"}], "description": "a"}, ["p"], ["r"]),
]
DEFINED = {"$defs": {"x": {"type": "string", "enum": ["p", "q"]}}}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("described", "right", "wrong"), TEXTS)
def test_a_verbatim_string_matches_its_schema(
    name: str, described: dict[str, Any], right: list[str], wrong: list[str]
) -> None:
    form, parameters = FORMATS[name], schema({"a": described}) | DEFINED
    for value in right:
        text = typed(form, written(form, ("a", value)), "string")
        assert accepts(form, parameters, text)
        assert read(form, parameters, text) == {"a": value}
    for value in wrong:
        assert not accepts(form, parameters, typed(form, written(form, ("a", value)), "string"))


AS_JSON = [
    ({"type": "string", "maxLength": 10**9}, ['"xx"'], ["xx"]),
    ({"type": "string", "pattern": "^x+$"}, ['"xx"'], ["xx", '"y"']),
    ({"type": "string", "format": "date"}, ['"2026-11-25"'], ["2026-11-25", '"x"']),
    ({"type": "string", "enum": ["a", None]}, ['"a"'], ["null", "a"]),
    ({"enum": ["a", None]}, ['"a"', "null"], ["a"]),
    ({"anyOf": [{"type": "string"}, {"type": "null"}]}, ['"a"', "null", '"</value>\\n</parameter"'], ["a"]),
    ({"type": "string", "enum": ["a\n</parameter>", "b</value>"]}, ['"a\\n</parameter>"', '"b</value>"'], ['"a"']),
    ({"type": "array", "items": {"type": "string"}}, ['["</value>", "\\"</value>"]', "[]"], ["[1]"]),
    ({"$ref": "#/properties/b"}, ["5"], ['"5"', "x"]),
    ({"$ref": "#"}, ['{"a": {"b": 2}, "b": 1}', '{"b": 3}'], ['{"a": 1}', "{}"]),
    (True, ['"a"', "1"], ["a"]),
]


@pytest.mark.parametrize("name", ["Qwen3-Coder", "one line"])
@pytest.mark.parametrize(("described", "right", "wrong"), AS_JSON)
def test_strings_that_verbatim_text_cannot_constrain_are_json(
    name: str, described: Any, right: list[str], wrong: list[str]
) -> None:
    form, parameters = FORMATS[name], schema({"a": described, "b": {"type": "integer"}}, ["b"])
    for value in right:
        text = written(form, ("a", value))
        assert accepts(form, parameters, written(form, ("a", value), ("b", "1")))
        arguments = read(form, parameters, written(form, ("a", value), ("b", "1")))
        assert arguments == {"a": json.loads(value), "b": 1}
        jsonschema.validate(arguments, parameters)
        assert not accepts(form, parameters, text)
    for value in wrong:
        assert not accepts(form, parameters, written(form, ("a", value), ("b", "1")))


@pytest.mark.parametrize("name", FORMATS)
def test_a_string_below_min_length_cannot_continue_after_its_closing_tag(name: str) -> None:
    form = FORMATS[name]
    assert isinstance(form.arguments, TagSyntax)
    for least in (0, 30):
        parameters = schema({"a": {"type": "string", "minLength": least}})
        value = f"x{form.arguments.after_value}" + "y" * 40
        assert not accepts(form, parameters, typed(form, written(form, ("a", value)), "string"))


@pytest.mark.parametrize(
    ("parameters", "pairs", "value"),
    [
        ({"required": ["q"]}, [("q", '"x"')], {"q": "x"}),
        ({"required": ["q"], "additionalProperties": {"type": "integer"}}, [("q", "4")], {"q": 4}),
        ({"allOf": [schema({"a": {"type": "integer"}})]}, [("a", "4")], {"a": 4}),
        ({"$ref": "#/$defs/x", "$defs": {"x": schema({"a": {"type": "integer"}})}}, [("a", "4")], {"a": 4}),
        (schema({"a": False, "b": {"type": "integer"}}, ["b"]), [("b", "4")], {"b": 4}),
        (schema({"a>\n<x": {"type": "string"}}), [("a>\n<x", "t")], {"a>\n<x": "t"}),
        (schema({"": {"type": "string"}}), [("", "t")], {"": "t"}),
    ],
)
def test_a_required_argument_is_written_wherever_the_schema_declares_it(
    parameters: dict[str, Any], pairs: list[tuple[str, str]], value: Any
) -> None:
    text = written(CODER, *pairs)
    assert accepts(CODER, parameters, text)
    assert not accepts(CODER, parameters, written(CODER))
    assert read(CODER, parameters, text) == value
    jsonschema.validate(value, parameters)
    assert describe_unenforced([Tool("f", "", parameters, strict=True)], TAGS) == ()


TWO = {"a": {"type": "integer"}, "b": {"type": "integer"}}


@pytest.mark.parametrize(
    ("keyword", "more"),
    [
        ("anyOf", {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}),
        ("minProperties", {"minProperties": 2}),
        ("maxProperties", {"maxProperties": 1}),
        ("dependentRequired", {"dependentRequired": {"a": ["b"]}}),
        ("patternProperties", {"patternProperties": {"^a": {"minimum": 5}}}),
    ],
)
def test_unenforced_keywords_are_reported_or_refused_if_strict(keyword: str, more: dict[str, Any]) -> None:
    parameters = schema(TWO, ["a"], **more)
    noted = ToolArguments(parameters).left_out
    assert noted == (keyword,)
    assert describe_unenforced([Tool("f", "", parameters)], TAGS) == (f"tools[0].function.parameters: {keyword}",)
    with pytest.raises(UnsupportedParameter, match=keyword) as refused:
        describe_unenforced([Tool("f", "", parameters, strict=True)], TAGS)
    assert refused.value.param == "tools[0].function.parameters"


def test_property_counts_that_always_hold_are_not_reported() -> None:
    assert ToolArguments(schema(TWO, minProperties=2, maxProperties=2)).left_out == ()


@pytest.mark.parametrize(
    "parameters",
    [
        schema({"a": False}),
        schema({}, ["a"], additionalProperties=False),
        schema({"a": {"type": "string", "enum": [5]}}),
        schema({"a": {"type": "string", "pattern": "(?=a)"}}),
    ],
)
def test_an_argument_that_cannot_be_written_is_refused_by_name(parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter, match=r"tools\[0\]\.function\.parameters") as refused:
        describe_unenforced([Tool("f", "", parameters)], TAGS)
    assert refused.value.param == "tools[0].function.parameters"


def test_a_string_that_typed_tags_cannot_constrain_is_refused() -> None:
    described = ToolArguments(schema({"a": {"type": "string", "pattern": "^x$"}})).each
    assert isinstance(TYPED.arguments, TagSyntax)
    with pytest.raises(SchemaRefused, match='"a"'):
        described[0].value_syntaxes(TYPED.arguments)


def test_circular_references_take_bounded_work() -> None:
    everything = {"allOf": [{"$ref": "#"}, {"$ref": "#"}], **schema({"a": {"$ref": "#"}}, [])}
    assert [each.key for each in ToolArguments(everything).each] == ["a"]
    chain = {f"d{n}": {"items": {"$ref": f"#/$defs/d{n + 1}"}} for n in range(3000)}
    assert len(ToolArguments({**schema({"a": {"$ref": "#/$defs/d0"}}), "$defs": chain}).each[0].schema["$defs"]) == 2999
    wide = {f"p{n}": {"items": {"$ref": "#"}} for n in range(2000)}
    with pytest.raises(SchemaRefused, match="characters"):
        ToolArguments(schema(wide))
