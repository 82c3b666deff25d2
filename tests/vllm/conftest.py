"""A real vLLM with the plugin, and servers in front of it."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from oruel.hugging_face.folder import ModelFolder
from oruel.text.tokenizer import Tokenizer
from oruel.vocabulary.base import Vocabulary
from tests.server import RunningServer
from tests.vllm.always_async import install
from tests.vllm.catalog import catalog_of, serve_catalog
from tests.vllm.random_model import write_random
from tests.vllm.serve import demo_folder
from tests.vllm.vllm_process import MODEL, VLLMProcess, vllm_serve

# Only `make test-vllm`, which names vLLM's virtual environment, collects these tests.
ENVIRONMENT = os.environ.get("TEST_VLLM")
collect_ignore_glob = [] if ENVIRONMENT else ["test_*.py"]


@pytest.fixture(scope="session")
def environment() -> Path:
    assert ENVIRONMENT
    return Path(ENVIRONMENT).absolute()


@pytest.fixture(scope="session")
def demo(environment: Path) -> Path:
    """The demo model in Hugging Face form."""
    return demo_folder(environment)


@pytest.fixture(scope="session")
def vocabulary(demo: Path) -> Vocabulary:
    return ModelFolder(demo).vocabulary


@pytest.fixture(scope="session")
def tokenizer(demo: Path) -> Tokenizer:
    folder = ModelFolder(demo)
    return Tokenizer(folder.vocabulary, folder.chat_template)


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="session")
def vllm(environment: Path, demo: Path, logs: Path) -> Iterator[VLLMProcess]:
    with vllm_serve(environment, demo, logs / "vllm.log") as running:
        yield running


@pytest.fixture(scope="session")
def server(vllm: VLLMProcess, demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Oru'el in front of vLLM."""
    model = catalog_of(MODEL, demo, vllm.root, settings='aliases = ["llama-4-maverick"]')
    with serve_catalog(tmp_path_factory.mktemp("server"), model) as running:
        yield running


@pytest.fixture(scope="session")
def client(server: RunningServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as openai:
        yield openai


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random(tmp_path_factory.mktemp("random") / "model")


@pytest.fixture(scope="session")
def random_vllm(environment: Path, random_model: Path, logs: Path) -> Iterator[VLLMProcess]:
    with vllm_serve(environment, random_model, logs / "random.log") as running:
        yield running


# A window, a KV cache and a batch so small that four long answers don't fit at once, nor a long prompt into a step.
SMALL = (
    "--max-model-len=1024", "--max-num-seqs=4", "--max-num-batched-tokens=64", "--block-size=32",
    "--num-gpu-blocks-override=40",
)  # fmt: skip


@pytest.fixture(scope="session")
def small_vllm(environment: Path, demo: Path, logs: Path) -> Iterator[VLLMProcess]:
    with vllm_serve(environment, demo, logs / "small.log", SMALL) as running:
        yield running


@pytest.fixture(scope="session")
def async_vllm(
    environment: Path, demo: Path, logs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VLLMProcess]:
    """Like `small_vllm`, but it schedules a step before it knows the tokens of the last."""
    variables = {"PYTHONPATH": f"{install(tmp_path_factory.mktemp('async'))}:{os.environ.get('PYTHONPATH', '')}"}
    with vllm_serve(environment, demo, logs / "async.log", SMALL, variables=variables) as running:
        yield running


@pytest.fixture
def seed() -> int:
    """Printed, so that a failed test can be repeated."""
    drawn = random.randrange(10**9)
    print(f"seed {drawn}")
    return drawn
