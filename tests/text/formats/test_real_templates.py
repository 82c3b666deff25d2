"""What real chat templates render of calls is in their format: its grammar takes it, its reader gives it back."""

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
from oruel.text.arguments.quoted import PYTHON
from oruel.text.dialect import AnswerReader, ChannelDialect, Dialect, PlainDialect
from oruel.text.formats.calls import LOWER_ID, PLACEHOLDERS, ToolFormat
from oruel.text.formats.detect import ToolSupport, support
from oruel.text.formats.families import Family, family_of
from oruel.text.formats.reasoning import markers_in
from oruel.text.prompt.template import ChatTemplate
from oruel.types import ChatRequest, Message, SamplingParams, Tool, ToolCall, ToolChoice
from tests.text.formats.real_templates import templates
from tests.text.formats.spoken import spelt
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
        """With ids as the family has them."""
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
        found[name] = Known(template, family, support(template, family))
    return found


def covered() -> dict[str, Known]:
    return {name: each for name, each in known().items() if each.found.is_whole}


def asked(*, must: bool, several: bool) -> ChatRequest:
    choice = ToolChoice("required" if must else "auto", tuple(tool.name for tool in TOOLS))
    return ChatRequest(
        "", "", (ASKED,), SamplingParams(), tools=tuple(TOOLS), tool_choice=choice, parallel_tool_calls=several
    )


def special_texts(dialect: Dialect) -> list[str]:
    texts = " ".join(dialect.texts)
    return sorted(set(re.findall(r"<\|[^<>]+?\|>|<\|[a-z_]+>|<[a-z_]+\|>|<｜[^<>]+?｜>|\[[A-Z_]+\]", texts)))


def written(template: ChatTemplate, form: ToolFormat, calls: tuple[ToolCall, ...]) -> str:
    """The calls of an answer, as the template writes them in a conversation."""
    rendered = template.render([ASKED, Message("assistant", "", tool_calls=calls)], {}, TOOLS, answers=False)
    call = PLACEHOLDERS.split(form.begin)[0] or calls[0].name
    body = rendered[rendered.index(call, rendered.rindex(ASKED.content)) :]
    last = PLACEHOLDERS.split(form.end)[-1]
    return body[: body.rindex(last) + len(last)] if form.end else body[: body.rindex("}") + 1]


def test_most_public_families_are_covered() -> None:
    assert len(known()) >= 60
    assert len(covered()) >= LEAST_COVERED, sorted(set(known()) - set(covered()))


def test_no_format_is_entered_by_hand_where_it_can_be_read_off() -> None:
    for name, each in known().items():
        if each.is_by_hand and each.family:
            bare = ChatTemplate(templates()[name], bos_text="<s>", eos_text="</s>")
            assert not support(bare).is_whole, name


@pytest.mark.parametrize("special", [False, True], ids=["plain markers", "control tokens"])
@pytest.mark.parametrize("must", [False, True], ids=["auto", "required"])
def test_what_a_template_writes_of_calls_its_grammar_takes_and_its_reader_gives_back(special: bool, must: bool) -> None:
    chance = random.Random(20261124)
    for name, each in covered().items():
        control = special_texts(each.dialect(ByteVocabulary())) if special else []
        vocabulary = ByteVocabulary(control=control)
        tokens, dialect = TokenTable(vocabulary), each.dialect(vocabulary)
        for calls in (each.calls[:1], each.calls) if each.form.between is not None else (each.calls[:1],):
            body = written(each.template, each.form, calls)
            request, state = asked(must=must, several=len(calls) > 1), dialect.state_after("")
            spec = dialect.constraint(request, state)
            assert isinstance(spec, RulesSpec)
            held = GrammarConstraint(tokens, spec, 10_000)
            for token in spelt(body, vocabulary.control_tokens):
                allowed = held.mask()[token // 8] >> (token % 8) & 1
                assert allowed, f"{name}: {body!r}"
                held.accept(token)
            assert tokens_may_end(held), f"{name}: {body!r}"
            reader = dialect.reader(request, state)
            assert reader
            assert given_back(body, reader, chance) == [(call.name, json.loads(call.arguments)) for call in calls], name


def tokens_may_end(held: GrammarConstraint) -> bool:
    return held.is_complete or bool(held.mask()[256 // 8] & 1)


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
    assert reader.called
    return [(name, json.loads(arguments)) for name, arguments in calls]


def test_a_name_that_is_not_declared_is_stopped_at_its_first_wrong_letter() -> None:
    vocabulary = ByteVocabulary()
    for name, each in covered().items():
        dialect = each.dialect(vocabulary)
        spec = dialect.constraint(asked(must=True, several=True), dialect.state_after(""))
        assert isinstance(spec, RulesSpec)
        held = GrammarConstraint(TokenTable(vocabulary), spec, 500)
        for token in vocabulary.tokenize(f"{each.form.begin}get_we".replace(LOWER_ID, "abcdefghi0")):
            held.accept(token)
        bits = held.mask()
        assert [byte for byte in range(256) if bits[byte // 8] >> (byte % 8) & 1] == [ord("a")], name


def test_templates_render_results_of_calls_where_they_are_counted_as_covered() -> None:
    for name, each in covered().items():
        for calls in (CALLS[:1], CALLS) if each.is_by_hand or each.form.between is not None else (CALLS[:1],):
            results = [Message("tool", f"result {call.id}", name=call.name, tool_call_id=call.id) for call in calls]
            rendered = each.template.render([ASKED, Message("assistant", "", tool_calls=calls), *results], {}, TOOLS)
            for text in (result.content for result in results):
                assert text in rendered, name


def test_a_template_that_raises_says_so_in_a_refusal() -> None:
    template = known()["mistralai-Mistral-Nemo-Instruct-2407"].template
    with pytest.raises(InvalidParameter, match="chat template can't render these messages"):
        template.render([ASKED, ASKED], {})


def test_reasoning_that_could_not_be_told_from_the_answer_is_refused() -> None:
    template = known()["IFM-K2-Horizon"].template
    assert template.render([ASKED], {}).rstrip().endswith("<ifm|think>")
    with pytest.raises(InvalidParameter, match="reasoning_effort"):
        template.render([ASKED], {"reasoning_effort": "medium"})


def table() -> str:
    """The table of docs/tool-formats.md."""
    lines = ["| template | calls | format | several in one answer | reasoning |", "|---|---|---|---|---|"]
    for name, each in known().items():
        how, several = "", ""
        if each.found.is_whole:
            how = "built in" if each.is_by_hand else "derived"
            several = "no" if each.form.between is None else "yes"
        lines.append(f"| {name} | {kind(name, each)} | {how} | {several} | {reasoning(each)} |")
    return "\n".join(lines) + "\n"


def kind(name: str, each: Known) -> str:
    if not each.found.is_whole:
        return f"not supported: {REASONS.get(name) or why(each.found)}"
    if each.form.spelling:
        return "Python" if each.form.spelling is PYTHON else "own quoting"
    if each.form.elements:
        return "elements"
    return "tags" if each.form.tagged else "JSON"


def reasoning(each: Known) -> str:
    if each.family and each.family.channels and (part := each.family.channels.reasoning):
        return f"`{part.open}`"
    markers = markers_in(each.template.source)
    return f"`{markers.open}`" if markers else ""


# Reasons that the probes can't detect.
REASONS = {
    "CohereForAI-c4ai-command-r-plus-tool_use": "the template always asks for a list of actions, even without tools",
    "HuggingFaceTB-SmolLM3-3B": "this version of the template omits tools; the publisher's own version has them",
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B": "the template renders calls but no tools",
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B": "the template renders calls but no tools",
}


def why(found: ToolSupport) -> str:
    if not found.offers:
        return (
            "the template renders calls but no tools"
            if found.formats
            else "the template renders neither tools nor calls"
        )
    return "the template renders no results" if found.formats else "no format can be derived from its calls"


def test_the_documentation_s_table_is_what_the_templates_give() -> None:
    assert table() in TABLE.read_text(), "rewrite it: python -m tests.text.formats.test_real_templates"


if __name__ == "__main__":
    text = TABLE.read_text()
    TABLE.write_text(re.sub(r"\| template \|.*\n(\|.*\n)+", lambda _: table(), text))
