import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oruel.llama.model import Model
from tests import gguf_models

pytestmark = pytest.mark.model

HARD_TEXTS = [
    "",
    "\0",
    "a\0b\0",
    " ",
    "   \n\n\t ",
    "The quick brown fox",
    "naïve café e\u0301 Ａ",
    "日本語 العربية עברית ไทย",
    "😀👩‍👩‍👧‍👦🇫🇷",
    "\ufeff\u200b\u2028\x7f\x1b",
    "<|im_end|><s></s>[INST]<unk><0x41><start_of_turn>",
    "\U0010ffff\ufffd\ud7ff",
]


def spelled(model: Model, tokens: list[int]) -> bytes:
    return b"".join(map(model.vocabulary.piece, tokens))


def expected(model: Model, text: str) -> bytes:
    return ((" " if model.vocabulary.adds_space_prefix and text else "") + text).encode()


@pytest.mark.parametrize("text", HARD_TEXTS)
def test_the_pieces_of_a_text_spell_it(model: Model, text: str) -> None:
    assert spelled(model, model.vocabulary.tokenize(text)) == expected(model, text)


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁<")))
@settings(max_examples=300, deadline=None)
def test_any_text_makes_tokens_that_spell_it(model: Model, text: str) -> None:
    tokens = model.vocabulary.tokenize(text)
    assert all(0 <= token < model.vocabulary.size for token in tokens)
    assert spelled(model, tokens) == expected(model, text)


def test_a_long_text_makes_tokens_that_spell_it(model: Model) -> None:
    source = random.Random(7)
    text = "".join(source.choices(["the ", "fox", " ", "\n", "é", "漢", "😀", "1234", "."], k=60_000))
    assert len(text) > 100_000
    assert spelled(model, model.vocabulary.tokenize(text)) == expected(model, text)


def test_control_tokens_written_in_a_text_stay_text(model: Model) -> None:
    vocabulary = model.vocabulary
    for name, token in vocabulary.control_tokens.items():
        written = vocabulary.tokenize(f"a{name}b")
        assert token not in written
        assert spelled(model, written) == expected(model, f"a{name}b")


def test_merges_that_arrive_at_a_control_token_are_spelled_out(folder: Path) -> None:
    tokenizer = gguf_models.sentence_pieces(
        "<s>", "</s>", gguf_models.MISTRAL, control=["[INST]"], user_defined=[], adds_space_prefix=True
    )
    tokenizer.add(["[I", "[IN", "ST", "ST]", "[", "I", "N", "S", "T"], score=-10.0)
    path = gguf_models.write_model(
        folder / "treacherous.gguf", gguf_models.Shape("llama"), tokenizer, half=True, seed=0
    )
    with Model(path, vocabulary_only=True) as model:
        control = model.vocabulary.control_tokens["[INST]"]
        assert control in model.vocabulary._tokenize(b"[INST]", False)
        tokens = model.vocabulary.tokenize("say [INST] me")
        assert control not in tokens
        assert spelled(model, tokens) == b" say [INST] me"


def test_control_tokens_in_a_template_become_tokens(model: Model) -> None:
    vocabulary = model.vocabulary
    for name, token in vocabulary.control_tokens.items():
        assert token in vocabulary.tokenize(f"a{name}b", special=True)
        assert vocabulary.piece(token) == b""
        assert vocabulary.token_text(token) == name


def test_user_defined_tokens_are_one_token_in_any_text(llama: Model) -> None:
    (think,) = llama.vocabulary.user_defined_tokens.values()
    assert llama.vocabulary.tokenize("<think>") == [think]
    assert llama.vocabulary.piece(think) == b"<think>"


def test_a_byte_level_vocabulary_has_a_token_for_every_byte(llama: Model) -> None:
    pieces = {llama.vocabulary.piece(token) for token in range(llama.vocabulary.size)}
    assert pieces >= {bytes([byte]) for byte in range(256)}


def test_a_character_may_span_several_tokens(model: Model) -> None:
    tokens = model.vocabulary.tokenize("😀")
    assert len(tokens) >= 4
    assert spelled(model, tokens[-4:]) == "😀".encode()


def test_no_bos_is_added(model: Model) -> None:
    assert model.vocabulary.tokenize("") == []
    assert model.vocabulary.tokenize("", special=True) == []
    assert model.vocabulary.bos not in model.vocabulary.tokenize("Hello", special=True)


def test_the_ends_of_a_turn_are_known(llama: Model, model: Model) -> None:
    eos = model.vocabulary.eos
    assert eos is not None
    assert model.vocabulary.is_end(eos)
    assert not any(map(model.vocabulary.is_end, model.vocabulary.tokenize("Hello")))
    assert llama.vocabulary.is_end(llama.vocabulary.control_tokens["<|endoftext|>"])


def test_each_shape_says_how_its_prompts_begin(model: Model) -> None:
    vocabulary = model.vocabulary
    begins = {
        "llama-f16": ("<|endoftext|>", False, False),
        "qwen2": ("<|endoftext|>", False, False),
        "mistral": ("<s>", True, True),
        "gemma": ("<bos>", True, False),
    }
    assert vocabulary.bos is not None
    found = (vocabulary.token_text(vocabulary.bos), vocabulary.adds_bos, vocabulary.adds_space_prefix)
    assert found == begins[model.path.stem]


def test_ids_out_of_range_never_reach_the_library(llama: Model) -> None:
    for token in (-1, llama.vocabulary.size, 2**31):
        for ask in (llama.vocabulary.piece, llama.vocabulary.is_end, llama.vocabulary.token_text):
            with pytest.raises(AssertionError):
                ask(token)


def test_a_lone_surrogate_is_refused_before_the_library(llama: Model) -> None:
    with pytest.raises(UnicodeEncodeError):
        llama.vocabulary.tokenize("\ud800")
