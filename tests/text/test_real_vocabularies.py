"""The claims of prompt/test_encoder.py for the tokenizers of llama.cpp."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oruel.llama.model import Model
from oruel.text.prompt.encoder import PromptEncoder
from oruel.text.prompt.template import ChatTemplate
from oruel.types import Message
from tests.gguf_models import gemma_model, llama_model, mistral_model, qwen2_model

pytestmark = pytest.mark.model

MAKERS: dict[str, Callable[[Path], Path]] = {
    "llama": llama_model,
    "qwen2": qwen2_model,
    "mistral": mistral_model,
    "gemma": gemma_model,
}
SPECIAL = [
    *("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<think>"),
    *("<s>", "</s>", "<unk>", "[INST]", "[/INST]", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
]
WORDS = ["the fox ", " says hello", "capital", "\n", "\n\n", "  ", "é", "日本", "😀", "a_b", "1234", "<", ">", "|"]
SAID = st.lists(st.sampled_from([*WORDS, *SPECIAL, "<|im_", "end|>", "[IN", "ST]", "<thi", "nk>"]), max_size=8).map(
    "".join
)
CLEAN = st.lists(st.sampled_from(WORDS), max_size=8).map("".join)


class Loaded:
    def __init__(self, path: Path) -> None:
        self.model = Model(path, vocabulary_only=True)
        self.vocabulary = self.model.vocabulary
        source, bos, eos = self.model.chat_template, self.vocabulary.bos, self.vocabulary.eos
        assert source is not None
        assert bos is not None
        assert eos is not None
        self.template = ChatTemplate(
            source, bos_text=self.vocabulary.token_text(bos), eos_text=self.vocabulary.token_text(eos)
        )
        self.encoder = PromptEncoder(self.vocabulary, self.template)
        self.special = {*self.vocabulary.control_tokens.values(), *self.vocabulary.user_defined_tokens.values()}

    def steering(self, tokens: list[int]) -> list[int]:
        return [token for token in tokens if token in self.special]

    def text(self, tokens: list[int]) -> str:
        pieces = (
            self.vocabulary.token_text(t).encode() if t in self.special else self.vocabulary.piece(t) for t in tokens
        )
        return b"".join(pieces).decode()


@pytest.fixture(scope="module", params=MAKERS)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return Loaded(MAKERS[request.param](tmp_path_factory.mktemp("model")))


def conversation(texts: list[str]) -> list[Message]:
    return [Message("assistant" if index % 2 else "user", text) for index, text in enumerate(texts)]


@settings(deadline=None, max_examples=30)
@given(st.lists(CLEAN, min_size=1, max_size=3))
def test_text_without_special_tokens_is_tokenized_as_llama_cpp_does(loaded: Loaded, texts: list[str]) -> None:
    messages = conversation(texts)
    whole = loaded.vocabulary.tokenize(loaded.template.render(messages, {}), special=True)
    assert loaded.encoder.encode(messages, {}) == whole


@settings(deadline=None, max_examples=30)
@given(st.lists(SAID, min_size=1, max_size=3))
def test_no_message_text_becomes_a_special_token(loaded: Loaded, texts: list[str]) -> None:
    tokens = loaded.encoder.encode(conversation(texts), {})
    bland = loaded.vocabulary.tokenize(loaded.template.render(conversation(["a"] * len(texts)), {}), special=True)
    assert loaded.steering(tokens) == loaded.steering(bland)


@settings(deadline=None, max_examples=30)
@given(st.lists(SAID, min_size=1, max_size=3))
def test_every_character_of_a_message_reaches_the_model(loaded: Loaded, texts: list[str]) -> None:
    messages = conversation(texts)
    tokens = loaded.encoder.encode(messages, {})
    said = loaded.text(tokens)
    if not loaded.vocabulary.adds_space_prefix:
        assert said == loaded.template.render(messages, {})
    else:
        # Only the space that the tokenizer adds after each special token may differ.
        assert said.replace(" ", "") == loaded.template.render(messages, {}).replace(" ", "")


@settings(deadline=None, max_examples=30)
@given(SAID)
def test_plain_text_decodes_to_itself(loaded: Loaded, text: str) -> None:
    tokens = loaded.encoder.encode_text(text)
    assert loaded.steering(tokens) == []
    prefix = " " if loaded.vocabulary.adds_space_prefix and text else ""
    assert loaded.text(tokens) == prefix + text
