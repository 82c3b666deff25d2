from pathlib import Path

import pytest

from tests.hugging_face_models import write_demo


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model in Hugging Face form, without its weights."""
    return write_demo(tmp_path_factory.mktemp("hugging-face") / "demo")
