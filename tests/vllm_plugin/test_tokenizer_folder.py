"""The plugin finds the tokenizer of a model that vLLM was given by its name on the hub."""

from pathlib import Path

import pytest
from oruel_vllm.tokenizer_folder import tokenizer_folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """With the main branch and an older commit of one model."""
    model = tmp_path / "cache" / "models--maker--model"
    for commit in ("1" * 40, "2" * 40):
        snapshot = model / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (snapshot / "tokenizer.json").write_text("{}")
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("2" * 40)
    return tmp_path / "cache"


def test_a_model_of_the_hub_is_in_the_cache(cache: Path) -> None:
    assert Path(tokenizer_folder("maker/model", cache=cache)).name == "2" * 40
    assert Path(tokenizer_folder("maker/model", "1" * 40, cache)).name == "1" * 40


@pytest.mark.parametrize("name", ["maker/other", "/no/such/folder", "not a name", ""])
def test_what_is_not_there_is_named_as_it_is(cache: Path, name: str) -> None:
    assert tokenizer_folder(name, cache=cache) == name


def test_a_folder_is_itself(cache: Path) -> None:
    assert tokenizer_folder(str(cache), cache=cache) == str(cache)
