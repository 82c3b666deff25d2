"""What the tests of catalogs with vLLM share."""

from pathlib import Path

import pytest

from oruel.engine.vllm.wire import RowRequest
from oruel.hugging_face.folder import ModelFolder
from tests.fleet.front import Says, Script
from tests.hugging_face_models import write_demo


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model in Hugging Face form, without its weights."""
    return write_demo(tmp_path_factory.mktemp("hugging-face") / "demo")


@pytest.fixture(scope="session")
def says(demo_folder: Path) -> Says:
    """Makes a script of a stub: the tokens of a text, then the end of the answer."""
    vocabulary = ModelFolder(demo_folder).vocabulary

    def script_of(text: str) -> Script:
        def script(row: RowRequest) -> list[int]:
            assert vocabulary.eos is not None
            return [*vocabulary.tokenize(text), vocabulary.eos]

        return script

    return script_of


@pytest.fixture(autouse=True)
def without_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes follow each other at once."""
    for pause in ("SHORTEST_PAUSE", "LONGEST_PAUSE"):
        monkeypatch.setattr(f"oruel.engine.vllm.probing.{pause}", 0.02)
