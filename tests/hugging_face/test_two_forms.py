"""The demo model has the same tokens, prompts and constraints in both forms."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oruel.cli.model_source import bundled_model
from oruel.constraints.grammar import GrammarConstraint
from oruel.constraints.json_object import JsonObjectConstraint
from oruel.constraints.spec import schema_spec
from oruel.constraints.tokens import TokenTable
from oruel.hugging_face.folder import ModelFolder
from oruel.llama.model import Model
from oruel.sampling.constraint import Constraint
from oruel.text.tokenizer import Tokenizer
from oruel.types import ChatRequest, Message, SamplingParams, Tool, ToolCall, ToolChoice

pytestmark = pytest.mark.model

ROOT = Path(__file__).parents[2]
REAL_TEXTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "src/oruel/web").glob("*.js"))]
PIECES = [
    *("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|im_", "end|>", "<tool_call>", "system\n"),
    *(" the", "hello", "I'M", "'ll", "x=1;", "12345", "  ", "\n\n", "\r\n", "\t", "\u00a0", "\u200b", "\u3000"),
    *("é", "e\u0301", "\u0301", "\u093f", "한", "日本", "ß", "İ", "ﬁ", "😀", "👩‍👩‍👧‍👦", "🇫🇷", "\ufe0f", "\0", "\x7f"),
]
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
)
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "tags": {"type": "array", "maxItems": 3}},
    "required": ["name", "age"],
}
TOOL = Tool("weather", "The weather of a place", {"type": "object", "properties": {"place": {"type": "string"}}})
MASKED_STEPS = 40


@pytest.fixture(scope="module")
def gguf() -> Iterator[Model]:
    with Model(bundled_model(), vocabulary_only=True) as model:
        yield model


@pytest.fixture(scope="module")
def folder(demo_folder: Path) -> ModelFolder:
    return ModelFolder(demo_folder)


@pytest.fixture(scope="module")
def tokenizers(gguf: Model, folder: ModelFolder) -> tuple[Tokenizer, Tokenizer]:
    return Tokenizer(gguf.vocabulary, gguf.chat_template), Tokenizer(folder.vocabulary, folder.chat_template)


@settings(deadline=None, max_examples=2000)
@given(TEXTS)
def test_a_text_has_the_same_tokens(gguf: Model, folder: ModelFolder, text: str) -> None:
    assert folder.vocabulary.tokenize(text) == gguf.vocabulary.tokenize(text)
    assert folder.vocabulary.tokenize(text, special=True) == gguf.vocabulary.tokenize(text, special=True)


@pytest.mark.parametrize("path", REAL_TEXTS, ids=lambda path: path.name)
def test_a_real_text_has_the_same_tokens(gguf: Model, folder: ModelFolder, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for part in (text, *text.splitlines(keepends=True)):
        assert folder.vocabulary.tokenize(part) == gguf.vocabulary.tokenize(part)


def test_each_token_has_the_same_name_and_bytes_and_ends_an_answer_in_both_forms_or_in_neither(
    gguf: Model, folder: ModelFolder
) -> None:
    assert folder.vocabulary.size == gguf.vocabulary.size
    for token in range(gguf.vocabulary.size):
        for vocabulary in (gguf.vocabulary, folder.vocabulary):
            assert isinstance(vocabulary.piece(token), bytes)
        assert folder.vocabulary.piece(token) == gguf.vocabulary.piece(token)
        assert folder.vocabulary.token_text(token) == gguf.vocabulary.token_text(token)
        assert folder.vocabulary.is_end(token) == gguf.vocabulary.is_end(token)


def test_the_special_tokens_and_the_template_are_the_same(gguf: Model, folder: ModelFolder) -> None:
    for name in ("control_tokens", "user_defined_tokens", "bos", "eos", "adds_bos", "adds_space_prefix"):
        assert getattr(folder.vocabulary, name) == getattr(gguf.vocabulary, name), name
    assert folder.chat_template == gguf.chat_template
    assert folder.context_length == gguf.context_length


@settings(deadline=None, max_examples=200)
@given(st.lists(TEXTS, min_size=1, max_size=4), st.booleans())
def test_a_request_has_the_same_prompt_and_constraint(
    tokenizers: tuple[Tokenizer, Tokenizer], texts: list[str], calls: bool
) -> None:
    messages = [Message("assistant" if index % 2 else "user", text) for index, text in enumerate(texts)]
    if calls:
        call = ToolCall("call_1", "weather", '{"place": "Rome"}')
        messages += [Message("assistant", "", tool_calls=(call,)), Message("tool", texts[0], tool_call_id="call_1")]
    tools, choice = ((TOOL,), ToolChoice("auto", ("weather",))) if calls else ((), ToolChoice())
    request = ChatRequest("id", "m", tuple(messages), SamplingParams(), tools=tools, tool_choice=choice)
    one, other = tokenizers
    prompt = one.encode_request(request)
    assert other.encode_request(request) == prompt
    assert other.constraint(request, prompt.state) == one.constraint(request, prompt.state)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["object", "schema"])
def test_constraints_allow_the_same_tokens_at_each_step(gguf: Model, folder: ModelFolder, kind: str, seed: int) -> None:
    def constrain(tokens: TokenTable) -> Constraint:
        if kind == "object":
            return JsonObjectConstraint(tokens, 500)
        return GrammarConstraint(tokens, schema_spec(SCHEMA), 500)

    one, other = constrain(TokenTable(gguf.vocabulary)), constrain(TokenTable(folder.vocabulary))
    chance = random.Random(seed)
    for _ in range(MASKED_STEPS):
        assert list(other.forced) == list(one.forced)
        if one.is_complete:
            break
        allowed = np.flatnonzero(np.unpackbits(one.mask(), bitorder="little")[: gguf.vocabulary.size])
        assert np.array_equal(one.mask(), other.mask())
        token = int(one.forced[0] if one.forced else chance.choice(allowed))
        chosen = one.enforce_limits(token)
        assert other.enforce_limits(token) == chosen
        one.accept(chosen)
        other.accept(chosen)
    assert other.is_complete == one.is_complete
