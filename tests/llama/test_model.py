import struct
from pathlib import Path

import pytest
from gguf import GGUFReader, GGUFWriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oruel.errors import ConfigError, ModelLoadError
from oruel.llama.context import Context
from oruel.llama.gguf import read_gguf
from oruel.llama.library import Library
from oruel.llama.model import Model
from tests import gguf_models

pytestmark = pytest.mark.model


def test_every_architecture_loads_and_decodes(model: Model) -> None:
    prompt = model.vocabulary.tokenize("Hello")
    with Context(model, window=64, sequences=1, batch=16, threads=1) as context:
        logits = context.decode(prompt, range(len(prompt)), [0] * len(prompt), [True] * len(prompt))
        assert logits.shape == (len(prompt), model.vocabulary.size)
        assert 1.5 < logits.std() < 4


def test_a_model_has_the_metadata_of_its_file(model: Model) -> None:
    assert model.context_length == 2048
    assert model.metadata("general.architecture") in ("llama", "qwen2", "gemma")
    assert model.metadata("no.such.key") is None
    assert model.chat_template in (gguf_models.CHATML, gguf_models.MISTRAL, gguf_models.GEMMA)


def test_a_long_metadata_value_is_not_truncated(llama: Model) -> None:
    assert len(gguf_models.CHATML) < 2**9
    assert llama.metadata("tokenizer.chat_template") == gguf_models.CHATML


def test_a_vocabulary_loads_without_the_weights(llama: Model, llama_path: Path) -> None:
    with Model(llama_path, vocabulary_only=True) as model:
        assert model.vocabulary.tokenize("The fox") == llama.vocabulary.tokenize("The fox")
        assert model.context_length == llama.context_length
        assert model.chat_template == llama.chat_template


def test_a_model_without_a_chat_template_has_none(folder: Path) -> None:
    tokenizer = gguf_models.byte_level()
    tokenizer.template = ""
    path = gguf_models.write_model(folder / "bare.gguf", gguf_models.Shape("llama"), tokenizer, half=True, seed=0)
    with Model(path) as model:
        assert model.chat_template is None


def test_gpu_layers_are_refused_without_gpu_support(library: Library, llama_path: Path) -> None:
    assert not library.lib.llama_supports_gpu_offload()
    with pytest.raises(ConfigError, match="gpu_layers is 3") as caught:
        Model(llama_path, gpu_layers=3)
    assert caught.value.param == "gpu_layers"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a GGUF file"),
        (b"PK\x03\x04" + bytes(64), "not a GGUF file"),
        (b"GGUF\x03\x00", "ends after 6 bytes"),
        (struct.pack("<4sIqq", b"GGUF", 1, 1, 1), "version 1"),
        (struct.pack(">4sIqq", b"GGUF", 3, 1, 1), "version 50331648. Supported are versions 2 and 3"),
        (struct.pack("<4sIqq", b"GGUF", 3, 2**62, 1), "damaged"),
        (struct.pack("<4sIqq", b"GGUF", 3, 1, -1), "damaged"),
        (struct.pack("<4sIqq", b"GGUF", 3, 0, 1) + bytes(40), "a key is 0 bytes long"),
    ],
)
def test_a_file_that_is_not_a_model_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelLoadError, match=reason):
        Model(path)


def test_an_unreadable_path_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.gguf", tmp_path, "nul\0.gguf"):
        with pytest.raises(ModelLoadError, match="can't be read"):
            Model(path)


@given(share=st.floats(0, 1, exclude_max=True))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_model_truncated_anywhere_is_refused(llama_path: Path, tmp_path: Path, share: float) -> None:
    whole = llama_path.read_bytes()
    path = tmp_path / "truncated.gguf"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ModelLoadError):
        Model(path)


@given(rest=st.binary(max_size=64))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_are_refused(tmp_path: Path, rest: bytes) -> None:
    path = tmp_path / "random.gguf"
    path.write_bytes(b"GGUF" + rest)
    with pytest.raises(ModelLoadError):
        read_gguf(path)


def test_a_load_error_quotes_the_reason_of_llama_cpp(llama_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "damaged.gguf"
    path.write_bytes(
        llama_path.read_bytes().replace(b"llama.attention.head_count\x04", b"llama.attention.head_cou__\x04", 1)
    )
    with pytest.raises(ModelLoadError, match=r"can't be loaded: .*wrong shape"):
        Model(path)


def test_an_encoder_model_is_refused(folder: Path) -> None:
    path = gguf_models.write_model(
        folder / "encoder.gguf", gguf_models.Shape("t5encoder"), gguf_models.byte_level(), half=True, seed=0
    )
    with pytest.raises(ModelLoadError, match=r"architecture t5encoder.*Choose a decoder-only chat model"):
        Model(path, vocabulary_only=True)


def test_a_model_without_a_vocabulary_is_refused(folder: Path) -> None:
    path = folder / "no-vocabulary.gguf"
    writer = GGUFWriter(path, "llama")
    gguf_models.write_shape(writer, gguf_models.Shape("llama"), "no vocabulary")
    writer.add_tokenizer_model("no_vocab")
    writer.add_vocab_size(64)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ModelLoadError, match="no vocabulary"):
        Model(path, vocabulary_only=True)


def test_generated_models_are_deterministic(tmp_path: Path, llama_path: Path) -> None:
    again = gguf_models.llama_model(tmp_path)
    assert again.read_bytes() == llama_path.read_bytes()
    assert len(GGUFReader(again).tensors) == 21


def test_a_closed_model_can_not_be_used(llama_path: Path) -> None:
    model = Model(llama_path)
    model.close()
    model.close()
    with pytest.raises(AssertionError, match="closed"):
        model.metadata("general.name")


def test_a_model_with_open_contexts_can_not_be_closed(llama_path: Path) -> None:
    with Model(llama_path) as model:
        context = Context(model, window=16, sequences=1, batch=8, threads=1)
        with pytest.raises(AssertionError, match="contexts first"):
            model.close()
        context.close()
