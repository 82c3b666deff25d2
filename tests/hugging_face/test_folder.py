"""Missing, broken and hostile files of a model are refused with a ModelLoadError that names the file."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from oruel.errors import ModelLoadError
from oruel.hugging_face.files import MAX_TEMPLATE_BYTES
from oruel.hugging_face.folder import ModelFolder
from tests.hugging_face_models import write_json

DEEP = b"[" * 200_000 + b"]" * 200_000


@pytest.fixture
def folder(demo_folder: Path, tmp_path: Path) -> Path:
    """A copy of the demo model to change."""
    return copytree(demo_folder, tmp_path / "model")


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    edit(content)
    write_json(path, content)


def refusal(folder: Path | str) -> str:
    with pytest.raises(ModelLoadError) as refused:
        ModelFolder(folder)
    return refused.value.message


def test_a_missing_folder_or_file_is_named(folder: Path, tmp_path: Path) -> None:
    assert "There is no folder" in refusal(tmp_path / "none")
    assert "There is no folder" in refusal("a\0b")
    (folder / "config.json").rename(folder / "kept")
    assert "has no config.json" in refusal(folder)
    (folder / "kept").rename(folder / "config.json")
    (folder / "tokenizer.json").unlink()
    assert "has no tokenizer.json. Name a folder" in refusal(folder)
    (folder / "tokenizer.model").touch()
    assert "only tokenizer.model. Convert it" in refusal(folder)


def test_a_model_needs_only_its_config_and_its_tokenizer(folder: Path) -> None:
    for name in ("tokenizer_config.json", "generation_config.json"):
        (folder / name).unlink()
    model = ModelFolder(folder)
    assert model.chat_template is None
    assert (model.vocabulary.bos, model.vocabulary.eos, model.vocabulary.adds_bos) == (0, 2, False)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\0",
        b"\xff",
        b'"a"',
        DEEP,
        b'{"a":' + DEEP + b"}",
        b'{"model": 1, "vocab_size": 1.5}',
    ],
    ids=["empty", "open", "array", "null", "NUL", "not UTF-8", "text", "deep", "deep value", "wrong types"],
)
def test_a_broken_file_is_named(folder: Path, name: str, content: bytes) -> None:
    if name in ("tokenizer_config.json", "generation_config.json") and content.startswith(b'{"model"'):
        content = b'{"eos_token": 1, "eos_token_id": "a"}'
    (folder / name).write_bytes(content)
    if name in ("tokenizer_config.json", "generation_config.json") and content.startswith(b'{"a"'):
        assert "nested too deeply" in refusal(folder)
    assert f"{name} can't be used: " in refusal(folder)


@pytest.mark.parametrize(
    ("name", "key", "value", "said"),
    [
        ("config.json", "vocab_size", 100, "don't belong together"),
        ("config.json", "vocab_size", 2**31, "vocab_size"),
        ("config.json", "vocab_size", None, "has no vocab_size"),
        ("generation_config.json", "eos_token_id", [2, 3072], "there is a token 3072"),
        ("generation_config.json", "eos_token_id", -1, "eos_token_id"),
        ("tokenizer_config.json", "eos_token", "<none>", "names the token '<none>', which the tokenizer lacks"),
        ("tokenizer_config.json", "chat_template", "\ud800", "not UTF-8"),
        ("tokenizer_config.json", "chat_template", [{"name": "rag", "template": ""}], "none named 'default'"),
        (
            "tokenizer_config.json",
            "added_tokens_decoder",
            {"7": {"content": "<new>"}},
            "gives the token '<new>' the id 7",
        ),
        ("tokenizer.json", "decoder", None, "has no decoder"),
        ("tokenizer.json", "decoder", {"type": "CTC"}, "CTC"),
        ("tokenizer.json", "decoder", {"type": "Strip", "content": " ", "start": 1, "stop": 0}, "strips each token"),
        ("tokenizer.json", "model", {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}, "encoder models"),
        ("tokenizer.json", "model", {"type": "BPE", "vocab": {"a": 0, "b": 0}, "merges": []}, "same name or id"),
        ("tokenizer.json", "model", {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}, "can't be used"),
        ("tokenizer.json", "model", {"type": "Unigram", "vocab": [["a", 0], ["a", 0]], "unk_id": 0}, "same name or id"),
        ("tokenizer.json", "model", {"type": "Unigram", "vocab": [["a", 0]], "unk_id": 9}, "can't be used"),
    ],
)
def test_a_wrong_value_is_refused(folder: Path, name: str, key: str, value: object, said: str) -> None:
    change(folder / name, lambda content: content.update({key: value}))
    assert said in refusal(folder)


def test_dropout_is_refused_because_it_makes_token_ids_random(folder: Path) -> None:
    change(folder / "tokenizer.json", lambda content: content["model"].update(dropout=0.1))
    assert "dropout" in refusal(folder)


def test_added_tokens_with_other_ids_than_the_file_says_are_refused(folder: Path) -> None:
    added = {"content": "<x>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    change(
        folder / "tokenizer.json",
        lambda content: content["added_tokens"].append({"id": 5000, "special": True, **added}),
    )
    assert "gives its added token '<x>' the id 5000" in refusal(folder)


def test_a_file_that_is_too_long_or_no_file_is_not_read(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("a" * (MAX_TEMPLATE_BYTES + 1))
    assert "longer than" in refusal(folder)
    (folder / "chat_template.jinja").unlink()
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    assert "has no config.json" in refusal(folder)


def test_truncation_and_padding_of_training_do_not_act(folder: Path) -> None:
    whole = ModelFolder(folder).vocabulary.tokenize("one two three four")
    change(
        folder / "tokenizer.json",
        lambda content: content.update(
            truncation={"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0},
            padding={"strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0}
            | {"pad_type_id": 0, "pad_token": "<|endoftext|>"},
        ),
    )
    assert ModelFolder(folder).vocabulary.tokenize("one two three four") == whole


def test_the_template_may_stand_in_any_of_its_places(folder: Path) -> None:
    def set_template(value: object) -> None:
        change(folder / "tokenizer_config.json", lambda content: content.update(chat_template=value))

    set_template([{"name": "default", "template": "A"}, {"name": "tool_use", "template": "B"}])
    assert ModelFolder(folder).chat_template == "A"
    set_template(None)
    write_json(folder / "chat_template.json", {"chat_template": "C"})
    assert ModelFolder(folder).chat_template == "C"
    set_template("D")
    assert ModelFolder(folder).chat_template == "D"
    (folder / "chat_template.jinja").write_text("E")
    assert ModelFolder(folder).chat_template == "E"


def test_settings_may_contain_what_only_python_reads_as_json(folder: Path) -> None:
    change(folder / "config.json", lambda content: content.update(limits=[0.0, float("inf"), float("nan")]))
    assert ModelFolder(folder).vocabulary.size == 3072


def test_models_of_text_and_images_describe_their_text_apart(folder: Path) -> None:
    change(folder / "config.json", lambda content: content.update(text_config={"vocab_size": 3100}, vocab_size=1))
    assert ModelFolder(folder).vocabulary.size == 3100


def test_added_tokens_of_the_settings_are_known_and_those_beyond_the_model_are_text(folder: Path) -> None:
    entries = {"3072": {"content": "<new>"}, "3073": {"content": "<beyond>"}}
    change(folder / "tokenizer_config.json", lambda content: content.update(added_tokens_decoder=entries))
    change(folder / "config.json", lambda content: content.update(vocab_size=3073))
    vocabulary = ModelFolder(folder).vocabulary
    assert vocabulary.user_defined_tokens == {"<new>": 3072}
    tokens = vocabulary.tokenize("a<new>b<beyond>c")
    assert max(tokens) == 3072
    assert b"".join(map(vocabulary.piece, tokens)) == b"a<new>b<beyond>c"
