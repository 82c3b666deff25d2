"""Tokenizers of several families agree with the `tokenizers` package."""

import random
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from oruel.hugging_face.folder import ModelFolder
from oruel.hugging_face.vocabulary import MAX_CHARACTERS, HuggingFaceVocabulary
from tests.hugging_face.texts import PLAIN, WORDS
from tests.hugging_face_models import FAMILIES

NAMES = ["<|im_end|>", "<|im_start|>", "<s>", "</s>", "<unk>", "[INST]", "<think>", "<tag>", "<0x41>", "<|fim_middle|>"]
SAID = st.lists(st.sampled_from([*WORDS, *NAMES]), max_size=8).map("".join)
HARD_TEXTS = ["", "\0", " ", "   \n\n\t ", "\ufeff\u200b\u2028\x7f\x1b", "👩‍👩‍👧‍👦🇫🇷", "\U0010ffff\ufffd\ud7ff"]


class Family:
    """A vocabulary, and the package's own tokenizer from the same file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.vocabulary: HuggingFaceVocabulary = ModelFolder(folder).vocabulary
        self.library = Tokenizer.from_file(str(folder / "tokenizer.json"))
        assert self.vocabulary.eos is not None
        self.end = self.vocabulary.token_text(self.vocabulary.eos)

    def expected_ids(self, text: str) -> list[int]:
        """The ids of `text` after a control token, which is where the texts of a prompt are."""
        return list(self.library.encode(self.end + text, add_special_tokens=False).ids[1:])

    def text(self, tokens: list[int]) -> str:
        return b"".join(map(self.vocabulary.piece, tokens)).decode()

    def expected_text(self, text: str) -> str:
        """What the tokens of `text` spell: composed by a vocabulary that normalises, and with the space prefix."""
        if "<tool_call>" in self.vocabulary.user_defined_tokens:
            return unicodedata.normalize("NFC", text)
        if not self.vocabulary.adds_space_prefix:
            return text
        if not self.vocabulary.user_defined_tokens:
            return f" {text}" if text else ""
        # Metaspace adds it after user-defined tokens too, but not before a space.
        return "<tag>".join(part if part[:1] in ("", " ") else f" {part}" for part in text.split("<tag>"))


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Family:
    return Family(FAMILIES[request.param](tmp_path_factory.mktemp("model") / request.param))


@settings(deadline=None, max_examples=100)
@given(PLAIN)
def test_token_ids_are_those_of_the_package(family: Family, text: str) -> None:
    assert family.vocabulary.tokenize(text) == family.expected_ids(text)


@settings(deadline=None, max_examples=100)
@given(PLAIN)
def test_pieces_of_any_text_join_to_it(family: Family, text: str) -> None:
    tokens = family.vocabulary.tokenize(text)
    assert all(0 <= token < family.vocabulary.size for token in tokens)
    assert family.text(tokens) == family.expected_text(text)


@pytest.mark.parametrize("text", HARD_TEXTS)
def test_pieces_of_a_hard_text_join_to_it(family: Family, text: str) -> None:
    assert family.text(family.vocabulary.tokenize(text)) == family.expected_text(text)


@settings(deadline=None, max_examples=100)
@given(SAID)
def test_no_text_becomes_a_control_token(family: Family, text: str) -> None:
    tokens = family.vocabulary.tokenize(text)
    assert set(family.vocabulary.control_tokens.values()).isdisjoint(tokens)
    assert family.text(tokens) == family.expected_text(text)


def test_each_piece_is_what_the_package_decodes_in_the_middle_of_a_text(family: Family) -> None:
    vocabulary = family.vocabulary
    names = family.library.get_vocab()
    around = names["q"]
    controls = set(vocabulary.control_tokens.values())
    for token in set(names.values()) - controls - {names.get("<unk>")}:
        expected = family.library.decode([around, token, around], skip_special_tokens=False)
        assert (b"q" + vocabulary.piece(token) + b"q").decode(errors="replace") == expected, vocabulary.token_text(
            token
        )


def test_control_tokens_and_padding_have_no_text(family: Family) -> None:
    vocabulary = family.vocabulary
    for name, token in vocabulary.control_tokens.items():
        assert vocabulary.piece(token) == b""
        assert vocabulary.token_text(token) == name
    for token in range(family.library.get_vocab_size(), vocabulary.size):
        assert (vocabulary.piece(token), vocabulary.token_text(token)) == (b"", f"[PAD{token}]")
        assert not vocabulary.is_end(token)


def test_special_text_is_parsed_into_control_tokens(family: Family) -> None:
    for name, token in family.vocabulary.control_tokens.items():
        assert token in family.vocabulary.tokenize(f"a{name}b", special=True)
        assert token not in family.vocabulary.tokenize(f"a{name}b")


def test_each_family_has_its_special_tokens(family: Family) -> None:
    vocabulary = family.vocabulary
    found = (
        vocabulary.bos is not None and vocabulary.token_text(vocabulary.bos),
        vocabulary.adds_bos,
        vocabulary.adds_space_prefix,
        list(vocabulary.control_tokens),
        list(vocabulary.user_defined_tokens),
        [vocabulary.token_text(token) for token in range(vocabulary.size) if vocabulary.is_end(token)],
    )
    chatml = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    mistral = ["<s>", "</s>", "[INST]", "[/INST]"]
    assert (
        found
        == {
            "demo": ("<|endoftext|>", False, False, chatml, [], ["<|endoftext|>", "<|im_end|>"]),
            "gpt2": ("<|endoftext|>", False, False, ["<|endoftext|>"], [], ["<|endoftext|>"]),
            "qwen": (
                *(False, False, False, [*chatml, "<|fim_middle|>"]),
                *(["<think>", "</think>", "<tool_call>"], ["<|endoftext|>", "<|im_end|>"]),
            ),
            "llama2": ("<s>", True, True, mistral, [], ["</s>"]),
            "mistral": ("<s>", True, False, mistral, [], ["</s>"]),
            "unigram": ("<s>", True, True, ["<s>", "</s>"], ["<tag>"], ["</s>"]),
        }[family.folder.name]
    )


def test_user_defined_tokens_are_matched_in_any_text(family: Family) -> None:
    for name, token in family.vocabulary.user_defined_tokens.items():
        assert token in family.vocabulary.tokenize(f"a{name}b")
        assert family.vocabulary.piece(token) == name.encode()


def test_a_long_text_has_the_same_tokens_as_in_one_piece(family: Family) -> None:
    source = random.Random(7)
    text = "".join(source.choices(["the fox", " says", " é", " 漢", "😀", " 1234", ".", "\n"], k=30_000))
    assert len(text) > 2 * MAX_CHARACTERS
    assert family.vocabulary.tokenize(text) == family.expected_ids(text)


@pytest.mark.parametrize("word", ["a", " ", "\n", "a;", "/\n", "é", "e\u0301", "▁", "<|im_end|>"])
def test_a_very_long_word_is_tokenized(family: Family, word: str) -> None:
    text = word * 100_000
    spelled = family.text(family.vocabulary.tokenize(text))
    if "▁" not in text:
        assert spelled == family.expected_text(text)


def test_token_ids_out_of_range_are_rejected(family: Family) -> None:
    vocabulary = family.vocabulary
    for token in (-1, vocabulary.size, 2**31):
        for method in (vocabulary.piece, vocabulary.is_end, vocabulary.token_text):
            with pytest.raises(AssertionError):
                method(token)


def test_a_lone_surrogate_is_rejected(family: Family) -> None:
    with pytest.raises(UnicodeEncodeError):
        family.vocabulary.tokenize("\ud800")
