"""What real chat templates render of calls is in their format: its grammar takes it, its reader gives it back."""

import json
import random
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from oruel.constraints.grammar import Grammar
from oruel.constraints.tokens import Tokens
from oruel.errors import InvalidParameter
from oruel.text.answer import AnswerReader
from oruel.text.forms import Forms
from oruel.text.reasoning import State, markers_in
from oruel.text.template import ChatTemplate
from oruel.text.tools.derive import Support, support
from oruel.text.tools.format import PLACEHOLDERS, ToolFormat
from oruel.types import Message, Tool, ToolCall
from tests.text.tools.real_templates import templates
from tests.text.vocabularies import ByteVocabulary

pytestmark = pytest.mark.templates

TABLE = Path(__file__).parents[3] / "docs" / "tool-formats.md"
LEAST_COVERED = 45

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


@cache
def known() -> dict[str, tuple[ChatTemplate, Support]]:
    return {
        name: (template, support(template))
        for name, source in templates().items()
        for template in [ChatTemplate(source, bos_text="<s>", eos_text="</s>")]
    }


def covered() -> dict[str, tuple[ChatTemplate, ToolFormat]]:
    return {
        name: (template, found.format) for name, (template, found) in known().items() if found.is_whole and found.format
    }


def spelt(text: str, control: Mapping[str, int]) -> list[int]:
    parts = re.split("(" + "|".join(map(re.escape, control)) + ")", text) if control else [text]
    return [token for part in parts for token in ([control[part]] if part in control else part.encode())]


def special_texts(form: ToolFormat) -> list[str]:
    return sorted(set(re.findall(r"<\|[^<>]+?\|>|<｜[^<>]+?｜>|\[[A-Z_]+\]", " ".join(form.texts))))


def written(template: ChatTemplate, form: ToolFormat, calls: tuple[ToolCall, ...]) -> str:
    """The calls of an answer, as the template writes them in a conversation."""
    rendered = template.render([ASKED, Message("assistant", "", tool_calls=calls)], {}, TOOLS, answers=False)
    body = rendered[rendered.index(form.begin, rendered.rindex(ASKED.content)) :]
    last = PLACEHOLDERS.split(form.end)[-1]
    return body[: body.rindex(last) + len(last)] if form.end else body[: body.rindex("}") + 1]


def test_most_public_families_are_covered() -> None:
    assert len(known()) >= 60
    assert len(covered()) >= LEAST_COVERED, sorted(set(known()) - set(covered()))


@pytest.mark.parametrize("special", [False, True], ids=["plain markers", "control tokens"])
@pytest.mark.parametrize("must", [False, True], ids=["auto", "required"])
def test_what_a_template_writes_of_calls_its_grammar_takes_and_its_reader_gives_back(special: bool, must: bool) -> None:
    chance = random.Random(20261124)
    for name, (template, form) in covered().items():
        vocabulary = ByteVocabulary(control=special_texts(form) if special else [])
        tokens = Tokens(vocabulary)
        forms = Forms(vocabulary.control_tokens, None, ())
        for calls in (CALLS[:1], CALLS) if form.between is not None else (CALLS[:1],):
            several = len(calls) > 1
            body = written(template, form, calls)
            grammar = forms.calls(form, TOOLS, State.TEXT, must=must, several=several).grammar
            held = Grammar(tokens, grammar, 10_000, closes=False)
            for token in spelt(body, vocabulary.control_tokens):
                allowed = held.mask()[token // 8] >> (token % 8) & 1
                assert allowed, f"{name}: {body!r}"
                held.accept(token)
            assert tokens_may_end(held), f"{name}: {body!r}"
            assert given_back(body, form, chance) == [(call.name, json.loads(call.arguments)) for call in calls], name


def tokens_may_end(held: Grammar) -> bool:
    return held.is_complete or bool(held.mask()[256 // 8] & 1)


def given_back(body: str, form: ToolFormat, chance: random.Random) -> list[tuple[str, object]]:
    reader, calls = AnswerReader(None, State.TEXT, form, {tool.name: tool for tool in TOOLS}), list[tuple[str, str]]()
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
    for name, (_, form) in covered().items():
        vocabulary = ByteVocabulary()
        held = Grammar(
            Tokens(vocabulary),
            Forms({}, None, ()).calls(form, TOOLS, State.TEXT, must=True, several=True).grammar,
            500,
            closes=False,
        )
        for token in vocabulary.tokenize(f"{form.begin}get_we"):
            held.accept(token)
        bits = held.mask()
        assert [byte for byte in range(256) if bits[byte // 8] >> (byte % 8) & 1] == [ord("a")], name


def test_templates_render_results_of_calls_where_they_are_counted_as_covered() -> None:
    for name, (template, form) in covered().items():
        calls = CALLS if form.between is not None else CALLS[:1]
        results = [Message("tool", f"result {call.id}", name=call.name, tool_call_id=call.id) for call in calls]
        rendered = template.render([ASKED, Message("assistant", "", tool_calls=calls), *results], {}, TOOLS)
        for result in results:
            assert result.content in rendered, name


def test_a_template_that_raises_says_so_in_a_refusal() -> None:
    template, _ = known()["mistralai-Mistral-Nemo-Instruct-2407"]
    with pytest.raises(InvalidParameter, match="chat template can't render these messages"):
        template.render([ASKED, ASKED], {})


def table() -> str:
    """The table of docs/tool-formats.md."""
    lines = ["| template | calls | several in one answer | reasoning |", "|---|---|---|---|"]
    for name, (template, found) in known().items():
        markers = markers_in(template.source)
        form = found.format if found.is_whole else None
        how = "not covered" + why(found) if form is None else "tags" if form.tagged else "JSON"
        several = "" if form is None else "yes" if form.between is not None else "no"
        lines.append(f"| {name} | {how} | {several} | {f'`{markers.open}`' if markers else ''} |")
    return "\n".join(lines) + "\n"


def why(found: Support) -> str:
    if not found.offers:
        return ": the template shows no tools"
    return ": its calls can't be read off" if found.format is None else ": the template shows no results"


def test_the_documentation_s_table_is_what_the_templates_give() -> None:
    assert table() in TABLE.read_text(), "rewrite it: python -m tests.text.tools.test_real_templates"


if __name__ == "__main__":
    text = TABLE.read_text()
    TABLE.write_text(re.sub(r"\| template \|.*\n(\|.*\n)+", lambda _: table(), text))
