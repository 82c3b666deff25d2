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


def join_pieces(model: Model, tokens: list[int]) -> bytes:
    return b"".join(map(model.vocabulary.piece, tokens))


def expected_bytes(model: Model, text: str) -> bytes:
    return ((" " if model.vocabulary.adds_space_prefix and text else "") + text).encode()


@pytest.mark.parametrize("text", HARD_TEXTS)
def test_pieces_join_to_the_text(model: Model, text: str) -> None:
    assert join_pieces(model, model.vocabulary.tokenize(text)) == expected_bytes(model, text)


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁<")))
@settings(max_examples=300, deadline=None)
def test_pieces_of_any_text_join_to_it(model: Model, text: str) -> None:
    tokens = model.vocabulary.tokenize(text)
    assert all(0 <= token < model.vocabulary.size for token in tokens)
    assert join_pieces(model, tokens) == expected_bytes(model, text)


def test_pieces_of_a_long_text_join_to_it(model: Model) -> None:
    source = random.Random(7)
    text = "".join(source.choices(["the ", "fox", " ", "\n", "é", "漢", "😀", "1234", "."], k=60_000))
    assert len(text) > 100_000
    assert join_pieces(model, model.vocabulary.tokenize(text)) == expected_bytes(model, text)


def test_names_of_control_tokens_in_a_text_stay_text(model: Model) -> None:
    vocabulary = model.vocabulary
    for name, token in vocabulary.control_tokens.items():
        written = vocabulary.tokenize(f"a{name}b")
        assert token not in written
        assert join_pieces(model, written) == expected_bytes(model, f"a{name}b")


def test_text_that_merges_into_a_control_token_stays_text(folder: Path) -> None:
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
        assert join_pieces(model, tokens) == b" say [INST] me"


def test_special_text_is_parsed_into_control_tokens(model: Model) -> None:
    vocabulary = model.vocabulary
    for name, token in vocabulary.control_tokens.items():
        assert token in vocabulary.tokenize(f"a{name}b", special=True)
        assert vocabulary.piece(token) == b""
        assert vocabulary.token_text(token) == name


def test_user_defined_tokens_are_matched_in_any_text(llama: Model) -> None:
    (think,) = llama.vocabulary.user_defined_tokens.values()
    assert llama.vocabulary.tokenize("<think>") == [think]
    assert llama.vocabulary.piece(think) == b"<think>"


def test_a_byte_level_vocabulary_has_a_token_for_every_byte(llama: Model) -> None:
    pieces = {llama.vocabulary.piece(token) for token in range(llama.vocabulary.size)}
    assert pieces >= {bytes([byte]) for byte in range(256)}


def test_a_character_may_span_several_tokens(model: Model) -> None:
    tokens = model.vocabulary.tokenize("😀")
    assert len(tokens) >= 4
    assert join_pieces(model, tokens[-4:]) == "😀".encode()


def test_tokenize_adds_no_bos(model: Model) -> None:
    assert model.vocabulary.tokenize("") == []
    assert model.vocabulary.tokenize("", special=True) == []
    assert model.vocabulary.bos not in model.vocabulary.tokenize("Hello", special=True)


def test_end_of_generation_tokens_are_recognised(llama: Model, model: Model) -> None:
    eos = model.vocabulary.eos
    assert eos is not None
    assert model.vocabulary.is_end(eos)
    assert not any(map(model.vocabulary.is_end, model.vocabulary.tokenize("Hello")))
    assert llama.vocabulary.is_end(llama.vocabulary.control_tokens["<|endoftext|>"])


def test_each_architecture_reports_bos_and_space_prefix(model: Model) -> None:
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


def test_token_ids_out_of_range_are_rejected(llama: Model) -> None:
    for token in (-1, llama.vocabulary.size, 2**31):
        for method in (llama.vocabulary.piece, llama.vocabulary.is_end, llama.vocabulary.token_text):
            with pytest.raises(AssertionError):
                method(token)


def test_a_lone_surrogate_is_rejected(llama: Model) -> None:
    with pytest.raises(UnicodeEncodeError):
        llama.vocabulary.tokenize("\ud800")
