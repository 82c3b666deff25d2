"""Calls that real chat templates render: the grammar of their format allows them, its reader reads them back."""

import json
import random
import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest

from oruel.constraints.grammar import GrammarConstraint
from oruel.constraints.spec import RulesSpec
from oruel.constraints.tokens import TokenTable
from oruel.errors import InvalidParameter
from oruel.text.answer.reader import AnswerReader
from oruel.text.arguments.elements import ElementSyntax
from oruel.text.arguments.json import JsonSyntax
from oruel.text.arguments.quoted import PYTHON, QuotedSyntax
from oruel.text.arguments.tagged import TagSyntax
from oruel.text.dialect import ChannelDialect, Dialect, PlainDialect
from oruel.text.formats.calls import ToolFormat
from oruel.text.formats.detect import ToolSupport, detect_support
from oruel.text.formats.families import Family, family_of
from oruel.text.formats.reasoning import find_markers
from oruel.text.placeholders import LOWER_ID, PLACEHOLDERS
from oruel.text.prompt.template import ChatTemplate
from oruel.types import ChatRequest, Message, SamplingParams, Tool, ToolCall, ToolChoice
from tests.text.formats.real_templates import templates
from tests.text.formats.spoken import tokenize
from tests.text.vocabularies import ByteVocabulary

pytestmark = pytest.mark.templates

TABLE = Path(__file__).parents[3] / "docs" / "tool-formats.md"
LEAST_COVERED = 65

PLACE = Tool(
    "get_weather",
    "The weather of a place.",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "unit": {"type": "string", "enum": ["c", "f"]},
        },
        "required": ["city", "days"],
        "additionalProperties": False,
    },
)
ADD = Tool(
    "add",
    "The sum of two numbers.",
    {
        "type": "object",
        "properties": {"a": {"type": "number"}, "sure": {"type": "boolean"}},
        "required": ["a"],
        "additionalProperties": False,
    },
)
TOOLS = [PLACE, ADD, Tool("now", "The time.")]
CALLS = (
    ToolCall("call00001", "get_weather", json.dumps({"city": 'Bern "x" {b}', "days": 3})),
    ToolCall("call00002", "add", json.dumps({"a": 1.5})),
)
ASKED = Message("user", "zqhello")


@dataclass(frozen=True)
class Known:
    template: ChatTemplate
    family: Family | None
    found: ToolSupport

    @property
    def form(self) -> ToolFormat:
        return self.found.formats[0]

    @property
    def is_by_hand(self) -> bool:
        return self.family is not None and bool(self.family.formats)

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls with ids in the family's form."""
        if LOWER_ID not in self.form.begin:
            return CALLS
        return tuple(replace(call, id=f"{call.id.lower()}a") for call in CALLS)

    def dialect(self, vocabulary: ByteVocabulary) -> Dialect:
        control = vocabulary.control_tokens
        if self.family and self.family.channels:
            return ChannelDialect(control, vocabulary.tokenize, self.family.channels, self.found.formats)
        return PlainDialect(control, vocabulary.tokenize, None, self.form)


@cache
def known() -> dict[str, Known]:
    found = {}
    for name, source in templates().items():
        family = family_of(source)
        template = ChatTemplate((family.prelude if family else "") + source, bos_text="<s>", eos_text="</s>")
        found[name] = Known(template, family, detect_support(template, family))
    return found


def covered() -> dict[str, Known]:
    return {name: each for name, each in known().items() if each.found.is_complete}


def make_request(*, must: bool, several: bool) -> ChatRequest:
    choice = ToolChoice("required" if must else "auto", tuple(tool.name for tool in TOOLS))
    return ChatRequest(
        "", "", (ASKED,), SamplingParams(), tools=tuple(TOOLS), tool_choice=choice, parallel_tool_calls=several
    )


def special_texts(dialect: Dialect) -> list[str]:
    texts = " ".join(dialect.texts)
    return sorted(set(re.findall(r"<\|[^<>]+?\|>|<\|[a-z_]+>|<[a-z_]+\|>|<｜[^<>]+?｜>|\[[A-Z_]+\]", texts)))


def written(template: ChatTemplate, form: ToolFormat, calls: tuple[ToolCall, ...]) -> str:
    """The calls as the template renders them in a conversation."""
    rendered = template.render([ASKED, Message("assistant", "", tool_calls=calls)], {}, TOOLS, answers=False)
    call = PLACEHOLDERS.split(form.begin)[0] or calls[0].name
    body = rendered[rendered.index(call, rendered.rindex(ASKED.content)) :]
    last = PLACEHOLDERS.split(form.end)[-1]
    return body[: body.rindex(last) + len(last)] if form.end else body[: body.rindex("}") + 1]


def test_most_public_model_families_are_supported() -> None:
    assert len(known()) >= 60
    assert len(covered()) >= LEAST_COVERED, sorted(set(known()) - set(covered()))


def test_no_derivable_format_is_listed_by_hand() -> None:
    for name, each in known().items():
        if each.is_by_hand and each.family:
            bare = ChatTemplate(templates()[name], bos_text="<s>", eos_text="</s>")
            assert not detect_support(bare).is_complete, name


@pytest.mark.parametrize("special", [False, True], ids=["plain markers", "control tokens"])
@pytest.mark.parametrize("must", [False, True], ids=["auto", "required"])
def test_rendered_calls_match_the_grammar_and_read_back(special: bool, must: bool) -> None:
    chance = random.Random(20261124)
    for name, each in covered().items():
        control = special_texts(each.dialect(ByteVocabulary())) if special else []
        vocabulary = ByteVocabulary(control=control)
        tokens, dialect = TokenTable(vocabulary), each.dialect(vocabulary)
        for calls in (each.calls[:1], each.calls) if each.form.between is not None else (each.calls[:1],):
            body = written(each.template, each.form, calls)
            request, state = make_request(must=must, several=len(calls) > 1), dialect.state_after("")
            spec = dialect.constraint(request, state)
            assert isinstance(spec, RulesSpec)
            constraint = GrammarConstraint(tokens, spec, 10_000)
            for token in tokenize(body, vocabulary.control_tokens):
                allowed = constraint.mask()[token // 8] >> (token % 8) & 1
                assert allowed, f"{name}: {body!r}"
                constraint.accept(token)
            assert tokens_may_end(constraint), f"{name}: {body!r}"
            reader = dialect.reader(request, state)
            assert reader
            assert given_back(body, reader, chance) == [(call.name, json.loads(call.arguments)) for call in calls], name


def tokens_may_end(constraint: GrammarConstraint) -> bool:
    return constraint.is_complete or bool(constraint.mask()[256 // 8] & 1)


def given_back(body: str, reader: AnswerReader, chance: random.Random) -> list[tuple[str, object]]:
    calls = list[tuple[str, str]]()
    segments = []
    while body:
        length = chance.randint(1, 9)
        segments += reader.feed(body[:length])
        body = body[length:]
    for segment in [*segments, *reader.finish()]:
        assert not segment.content.strip()
        for piece in segment.calls:
            if piece.name:
                calls.append((piece.name, ""))
            name, arguments = calls[piece.index]
            calls[piece.index] = (name, arguments + piece.arguments)
    assert reader.has_complete_calls
    return [(name, json.loads(arguments)) for name, arguments in calls]


def test_an_undeclared_name_is_blocked_at_its_first_wrong_letter() -> None:
    vocabulary = ByteVocabulary()
    for name, each in covered().items():
        dialect = each.dialect(vocabulary)
        spec = dialect.constraint(make_request(must=True, several=True), dialect.state_after(""))
        assert isinstance(spec, RulesSpec)
        constraint = GrammarConstraint(TokenTable(vocabulary), spec, 500)
        for token in vocabulary.tokenize(f"{each.form.begin}get_we".replace(LOWER_ID, "abcdefghi0")):
            constraint.accept(token)
        bits = constraint.mask()
        assert [byte for byte in range(256) if bits[byte // 8] >> (byte % 8) & 1] == [ord("a")], name


def test_supported_templates_render_tool_results() -> None:
    for name, each in covered().items():
        for calls in (CALLS[:1], CALLS) if each.is_by_hand or each.form.between is not None else (CALLS[:1],):
            results = [Message("tool", f"result {call.id}", name=call.name, tool_call_id=call.id) for call in calls]
            rendered = each.template.render([ASKED, Message("assistant", "", tool_calls=calls), *results], {}, TOOLS)
            for text in (result.content for result in results):
                assert text in rendered, name


def test_an_exception_in_a_template_is_reported_in_the_error() -> None:
    template = known()["mistralai-Mistral-Nemo-Instruct-2407"].template
    with pytest.raises(InvalidParameter, match="chat template can't render these messages"):
        template.render([ASKED, ASKED], {})


def test_unsupported_reasoning_efforts_are_refused() -> None:
    template = known()["IFM-K2-Horizon"].template
    assert template.render([ASKED], {}).rstrip().endswith("<ifm|think>")
    with pytest.raises(InvalidParameter, match="reasoning_effort"):
        template.render([ASKED], {"reasoning_effort": "medium"})


def table() -> str:
    """The table of docs/tool-formats.md."""
    lines = ["| template | calls | format | several in one answer | reasoning |", "|---|---|---|---|---|"]
    for name, each in known().items():
        how, several = "", ""
        if each.found.is_complete:
            how = "built in" if each.is_by_hand else "derived"
            several = "no" if each.form.between is None else "yes"
        lines.append(f"| {name} | {kind(name, each)} | {how} | {several} | {reasoning(each)} |")
    return "\n".join(lines) + "\n"


def kind(name: str, each: Known) -> str:
    if not each.found.is_complete:
        return f"not supported: {REASONS.get(name) or why(each.found)}"
    if each.form.arguments is PYTHON:
        return "Python"
    names = {JsonSyntax: "JSON", TagSyntax: "tags", QuotedSyntax: "own quoting", ElementSyntax: "elements"}
    return names[type(each.form.arguments)]


def reasoning(each: Known) -> str:
    if each.family and each.family.channels and (part := each.family.channels.reasoning):
        return f"`{part.open}`"
    markers = find_markers(each.template.source)
    return f"`{markers.open}`" if markers else ""


# Reasons that the probes can't detect.
REASONS = {
    "CohereForAI-c4ai-command-r-plus-tool_use": "the template always asks for a list of actions, even without tools",
    "HuggingFaceTB-SmolLM3-3B": "this version of the template omits tools; the publisher's own version has them",
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B": "the template renders calls but no tools",
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B": "the template renders calls but no tools",
}


def why(found: ToolSupport) -> str:
    if not found.renders_tools:
        return (
            "the template renders calls but no tools"
            if found.formats
            else "the template renders neither tools nor calls"
        )
    return "the template renders no results" if found.formats else "no format can be derived from its calls"


def test_the_table_in_the_documentation_is_current() -> None:
    assert table() in TABLE.read_text(), "rewrite it: python -m tests.text.formats.test_real_templates"


if __name__ == "__main__":
    text = TABLE.read_text()
    TABLE.write_text(re.sub(r"\| template \|.*\n(\|.*\n)+", lambda _: table(), text))
