from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oruel.llama.context import Context
from oruel.llama.library import Library, load_library
from oruel.llama.model import Model
from tests import gguf_models

SHAPES: dict[str, Callable[[Path], Path]] = {
    "llama": gguf_models.llama_model,
    "qwen2": gguf_models.qwen2_model,
    "mistral": gguf_models.mistral_model,
    "gemma": gguf_models.gemma_model,
}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gguf")


@pytest.fixture(scope="session")
def library() -> Library:
    return load_library()


@pytest.fixture(scope="session")
def llama_path(folder: Path) -> Path:
    return gguf_models.llama_model(folder)


@pytest.fixture(scope="session")
def llama(llama_path: Path) -> Iterator[Model]:
    with Model(llama_path) as model:
        yield model


@pytest.fixture(scope="session", params=SHAPES)
def model(request: pytest.FixtureRequest, folder: Path) -> Iterator[Model]:
    """A model of each shape in turn."""
    with Model(SHAPES[request.param](folder)) as model:
        yield model


@pytest.fixture
def context(llama: Model) -> Iterator[Context]:
    with Context(llama, window=256, sequences=4, batch=64, threads=1) as context:
        yield context
