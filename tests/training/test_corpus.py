"""The demo model's corpus is deterministic, and no question of the evaluation is in it."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from oruel.text.formats.calls import HERMES
from oruel.text.formats.detect import detect_support
from oruel.text.prompt.template import ChatTemplate
from oruel.types import Message, Tool, ToolCall
from training import corpus
from training.chatml import TEMPLATE, messages_and_tools, render, split_answers
from training.families import FAMILIES, Family
from training.given import ANSWERING
from training.invented import Draws, held_out
from training.phrases import Conversation
from training.subjects import arithmetic, memory

SIZES = (40, 400, 4)
FILES = ("copying.jsonl", "corpus.jsonl", "long.jsonl")
SUMS = re.compile(r"\b(\d+) ([+-]) (\d+)\b")


@pytest.fixture(scope="module")
def sample() -> list[Conversation]:
    random = Draws(31)
    counts = ((corpus.MIX, 6000), (corpus.FINISHING, 2000), (corpus.FORMS, 1000))
    return [corpus.draw_conversation(random, mix)[1] for mix, count in counts for _ in range(count)]


@pytest.fixture(scope="module")
def rendered(sample: list[Conversation]) -> str:
    return "".join(map(render, sample))


@pytest.mark.parametrize("mix", corpus.MIXES)
def test_the_corpus_is_deterministic(mix: str, tmp_path: Path) -> None:
    for folder in ("one", "other"):
        corpus.write_corpus(tmp_path / folder, SIZES, seed=5, mix_name=mix)
    for name in FILES:
        one, other = ((tmp_path / folder / name).read_bytes() for folder in ("one", "other"))
        assert one == other
        assert len(one) > 1000


def test_different_seeds_write_different_corpora(tmp_path: Path) -> None:
    for seed in (5, 6):
        corpus.write_corpus(tmp_path / str(seed), SIZES, seed=seed)
    assert (tmp_path / "5" / "corpus.jsonl").read_bytes() != (tmp_path / "6" / "corpus.jsonl").read_bytes()


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_no_evaluation_prompt_is_in_the_corpus(family: Family, rendered: str) -> None:
    prompts = [render(conversation[:-1]) for conversation in family.questions()]
    assert prompts
    assert not [prompt for prompt in prompts if prompt in rendered]


def test_held_out_sums_and_differences_are_not_in_the_corpus(sample: list[Conversation]) -> None:
    found = 0
    for conversation in sample:
        for first, sign, second in SUMS.findall(" ".join(content for _, content in conversation)):
            a, b = int(first), int(second)
            if max(a, b) <= 20:
                found += 1
                kept = arithmetic.held_out(a, b) if sign == "+" else arithmetic.held_out_difference(a, b)
                assert not kept, f"{a} {sign} {b}"
    assert found > 500


@pytest.mark.parametrize("kept_out", [False, True])
def test_corpus_and_evaluation_share_no_invented_words(kept_out: bool) -> None:
    random = Draws(1, kept_out)
    for make in (random.word, random.name, random.letters, random.code, lambda: random.number(2, 3, 4)):
        assert {held_out(make()) for _ in range(200)} == {kept_out}


def test_the_prompts_of_the_parameter_page_are_in_the_corpus(sample: list[Conversation]) -> None:
    asked = {content for conversation in sample for role, content in conversation if role == "user"}
    assert set(corpus.PAGE) <= asked


def test_a_long_conversation_asks_once_about_a_fact_not_told() -> None:
    random = Draws(32)
    openings = {question: statement.partition("{v}")[0] for statement, question, *_ in memory.FACTS}
    for _ in range(20):
        conversation = corpus.draw_long_conversation_with_untold(random)
        said = [content for role, content in conversation if role == "user"]
        pairs = [(one[1], other[1]) for one, other in pairwise(conversation) if one[1] in openings]
        (unsaid,) = [question for question, answer in pairs if "told me" in answer or "tell me that" in answer]
        assert not [content for content in said if content.startswith(openings[unsaid])]


def test_the_server_derives_the_tool_format_from_the_template() -> None:
    known = detect_support(ChatTemplate(TEMPLATE))
    assert known.is_complete
    assert known.formats == (HERMES,)


def test_corpus_and_server_render_conversations_identically(sample: list[Conversation]) -> None:
    template = ChatTemplate(TEMPLATE)
    with_tools = 0
    for conversation in [*sample[:600], *sample[-200:]]:
        messages, tools = messages_and_tools(conversation)
        with_tools += bool(tools)
        asked = [
            Message(
                message["role"],
                message["content"],
                tool_calls=tuple(
                    ToolCall("call_1", call["function"]["name"], json.dumps(call["function"]["arguments"]))
                    for call in message.get("tool_calls", [])
                ),
            )
            for message in messages
        ]
        offered = [Tool(**tool["function"]) for tool in tools]
        assert render(conversation) == template.render(asked, {}, offered, answers=False)
        assert render(conversation, answers=True) == template.render(asked, {}, offered)
    assert with_tools > 20


def test_answers_are_split_from_the_rest_of_a_conversation(sample: list[Conversation]) -> None:
    for conversation in [*sample[:300], *sample[-200:]]:
        parts = split_answers(render(conversation))
        assert "".join(text for text, _ in parts) == render(conversation)
        answers = [text for text, answer in parts if answer]
        assert len(answers) == sum(role in ANSWERING for role, _ in conversation)
        assert all(text.endswith("<|im_end|>") for text in answers)
