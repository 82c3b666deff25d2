"""Tokenizers of each family agree with the transformers package where it is installed. It is no dependency."""

import importlib
import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oruel.hugging_face.folder import ModelFolder
from oruel.text.tokenizer import Tokenizer
from oruel.types import Message
from tests.hugging_face.texts import PLAIN
from tests.hugging_face_models import FAMILIES

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="the transformers package is not installed"
)


class Both:
    def __init__(self, folder: Path) -> None:
        os.environ["HF_HUB_OFFLINE"] = "1"
        transformers: Any = importlib.import_module("transformers")
        self.model = ModelFolder(folder)
        self.theirs: Any = transformers.PreTrainedTokenizerFast.from_pretrained(str(folder))
        self.ours = Tokenizer(self.model.vocabulary, self.model.chat_template)


@pytest.fixture(scope="module", params=FAMILIES)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Both:
    return Both(FAMILIES[request.param](tmp_path_factory.mktemp("model") / request.param))


@settings(deadline=None)
@given(PLAIN)
def test_the_tokens_of_a_text_after_a_control_token_are_the_same(both: Both, text: str) -> None:
    eos = both.model.vocabulary.eos
    assert eos is not None
    whole = both.model.vocabulary.token_text(eos) + text
    assert [eos, *both.model.vocabulary.tokenize(text)] == both.theirs.encode(whole, add_special_tokens=False)


@settings(deadline=None)
@given(st.lists(PLAIN, min_size=1, max_size=3))
def test_chat_prompts_are_the_same(both: Both, texts: list[str]) -> None:
    if both.model.chat_template is None:
        return
    messages = [Message("assistant" if index % 2 else "user", text) for index, text in enumerate(texts)]
    theirs = both.theirs.apply_chat_template(
        [{"role": message.role, "content": message.content} for message in messages],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=False,
    )
    assert both.ours.encode_messages(messages, {}) == theirs


def test_the_special_tokens_are_the_same(both: Both) -> None:
    assert both.theirs.eos_token_id == both.model.vocabulary.eos
    assert both.theirs.bos_token_id == both.model.vocabulary.bos
    assert set(both.theirs.all_special_ids) - {both.theirs.unk_token_id} <= set(
        both.model.vocabulary.control_tokens.values()
    )
