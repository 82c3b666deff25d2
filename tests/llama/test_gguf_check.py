"""GGUF files that would kill the process inside llama.cpp are refused. Unusual but valid files are accepted."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gguf import TokenType

from oruel.errors import ModelLoadError
from oruel.llama.gguf import read_gguf
from oruel.llama.gguf_check import check_gguf
from oruel.llama.model import Model
from tests import gguf_models
from tests.gguf_models import Shape, Tokenizer, byte_level, write_model

pytestmark = pytest.mark.model

SEED = 16
MUTATIONS = 400


def sentencepiece_tokenizer() -> Tokenizer:
    return gguf_models.sentence_pieces(
        "<s>", "</s>", gguf_models.MISTRAL, control=[], user_defined=[], adds_space_prefix=True
    )


def with_text(tokenizer: Tokenizer, token: int, text: str | bytes) -> Tokenizer:
    tokenizer.texts[token] = text  # type: ignore[assignment]  # the writer also accepts bytes
    return tokenizer


def with_kind(tokenizer: Tokenizer, kind: str) -> Tokenizer:
    tokenizer.kind = kind
    return tokenizer


def write_tokenizer(folder: Path, tokenizer: Tokenizer) -> Path:
    return write_model(folder / "odd.gguf", Shape("llama"), tokenizer, half=True, seed=0)


@pytest.mark.parametrize(
    ("tokenizer", "reason"),
    [
        (with_text(byte_level(), 300, byte_level().texts[301]), r"tokens 300 and 301 of its vocabulary are the same"),
        (with_text(byte_level(), 300, b"\xff\xfe"), r"token 300 of its vocabulary, b'\\xff\\xfe', is not UTF-8"),
        (with_text(byte_level(), 300, b"\xc4"), "token 300 of its vocabulary.* is not UTF-8"),
        (with_text(byte_level(), 300, "a\0b"), "token 300 of its vocabulary contains a NUL"),
        (with_text(byte_level(), 300, "\0"), "token 300 of its vocabulary contains a NUL"),
        (with_text(with_text(byte_level(), 300, ""), 301, "[EMPTY_300]"), "tokens 300 and 301 .* are the same"),
        (
            with_text(sentencepiece_tokenizer(), sentencepiece_tokenizer().texts.index("<0xF0>"), "<0xF_>"),
            "lacks 1 of the 256 byte tokens, such as <0xF0>",
        ),
        (with_kind(sentencepiece_tokenizer(), "bert"), "tokenizer type, bert, belongs to encoder models"),
        (with_kind(sentencepiece_tokenizer(), "rwkv"), "lacks [0-9]+ of the 256 byte tokens"),
    ],
    ids=[
        "duplicate",
        "not UTF-8",
        "incomplete character",
        "NUL inside",
        "NUL",
        "named like an empty token",
        "byte",
        "bert",
        "rwkv",
    ],
)
def test_a_vocabulary_that_llama_cpp_aborts_on_is_refused(tmp_path: Path, tokenizer: Tokenizer, reason: str) -> None:
    with pytest.raises(ModelLoadError, match=reason):
        Model(write_tokenizer(tmp_path, tokenizer), vocabulary_only=True)


@pytest.mark.parametrize("size", ["context_length", "block_count", "embedding_length"])
def test_a_size_of_zero_is_refused(tmp_path: Path, size: str) -> None:
    whole = write_tokenizer(tmp_path, byte_level()).read_bytes()
    place = whole.index(f"llama.{size}".encode()) + len(f"llama.{size}") + 4
    path = tmp_path / "zero.gguf"
    path.write_bytes(whole[:place] + bytes(4) + whole[place + 4 :])
    with pytest.raises(ModelLoadError, match=rf"llama\.{size} is 0; it must be an integer from 1 to"):
        Model(path, vocabulary_only=True)


def test_an_eos_token_beyond_the_vocabulary_is_refused(tmp_path: Path) -> None:
    whole = write_tokenizer(tmp_path, byte_level()).read_bytes()
    place = whole.index(b"eos_token_id") + len("eos_token_id") + 4
    path = tmp_path / "end.gguf"
    path.write_bytes(whole[:place] + (5000).to_bytes(4, "little") + whole[place + 4 :])
    with pytest.raises(ModelLoadError, match=r"eos_token_id is 5000, but the vocabulary has 380 tokens"):
        Model(path, vocabulary_only=True)
    path.write_bytes(whole[:place] + b"\xff" * 4 + whole[place + 4 :])  # converters write this value for "no token"
    Model(path, vocabulary_only=True).close()


def test_unused_empty_and_newline_tokens_load(tmp_path: Path) -> None:
    tokenizer = byte_level(size=600)
    tokenizer.texts[598] = tokenizer.texts[599] = ""
    tokenizer.add(["\n\n", "日本語"], TokenType.USER_DEFINED)
    with Model(write_tokenizer(tmp_path, tokenizer)) as model:
        assert model.vocabulary.size == 602
        assert model.vocabulary.tokenize("日本語\n\n") == [601, 600]


def test_a_converted_rwkv_vocabulary_loads(tmp_path: Path) -> None:
    tokenizer = Tokenizer("rwkv", gguf_models.CHATML, bos="<s>", eos="<s>", adds_bos=False)
    tokenizer.add(["<s>"], TokenType.CONTROL)
    tokenizer.add(repr(bytes([byte]))[2:-1] for byte in range(256))
    with Model(write_tokenizer(tmp_path, tokenizer), vocabulary_only=True) as model:
        assert model.vocabulary.tokenize("\t\n'\"\\é") == [1 + byte for byte in "\t\n'\"\\é".encode()]


def test_valid_models_pass_the_check(tmp_path: Path) -> None:
    for make in (gguf_models.qwen2_model, gguf_models.mistral_model, gguf_models.gemma_model, gguf_models.tagged_model):
        check_gguf(make(tmp_path))
    check_gguf(Path(gguf_models.__file__).parents[1] / "src" / "oruel" / "models" / "oruel-demo.gguf")


def test_read_gguf_returns_the_written_metadata(tmp_path: Path) -> None:
    tokenizer = byte_level()
    contents = read_gguf(write_tokenizer(tmp_path, tokenizer))
    assert contents.text("general.architecture") == "llama"
    assert contents.integer("llama.context_length") == 2048
    assert contents.strings("tokenizer.ggml.tokens") == [text.encode() for text in tokenizer.texts]
    types = contents.numbers("tokenizer.ggml.token_type")
    assert types is not None
    assert types.count == len(tokenizer.texts)
    assert len(contents.tensors) == 21


def test_false_lengths_do_not_allocate_memory(tmp_path: Path) -> None:
    whole = write_tokenizer(tmp_path, byte_level()).read_bytes()
    for before in (b"tokenizer.ggml.tokens\x09\0\0\0\x08\0\0\0", b"tokenizer.ggml.token_type\x09\0\0\0\x05\0\0\0"):
        place = whole.index(before) + len(before)
        for claimed in (2**32, 2**62, 2**64 - 1):
            path = tmp_path / "long.gguf"
            path.write_bytes(whole[:place] + claimed.to_bytes(8, "little") + whole[place + 8 :])
            with pytest.raises(ModelLoadError, match=r"is incomplete: 'tokenizer\.ggml\.token"):
                read_gguf(path)


def mutation_outcomes(path: Path, mode: str) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.llama.mutations", str(path), str(SEED), "0", str(MUTATIONS), mode]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, f"seed {SEED}: status {run.returncode} at {run.stdout[-300:]} {run.stderr[-600:]}"
    return (line.partition(" ")[2] for line in run.stdout.splitlines())


@pytest.mark.parametrize("mode", ["vocabulary", "weights"])
@pytest.mark.parametrize("make", [gguf_models.llama_model, gguf_models.mistral_model])
def test_a_damaged_file_never_kills_the_process(make: Callable[[Path], Path], mode: str, tmp_path: Path) -> None:
    outcomes = [line.partition(":")[0] for line in mutation_outcomes(make(tmp_path), mode)]
    assert outcomes.count("refused") > MUTATIONS / 4, "most faults are detected"
    assert outcomes.count("loaded") > MUTATIONS / 40, "some changes, such as a weight's, are harmless"
