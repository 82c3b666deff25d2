"""Tools, schemas, reasoning and frameworks with vLLM behind, which serves the demo model with other chat templates.

tests/contract/test_families.py is left out: its formats have control tokens that the demo vocabulary doesn't have.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from tests.contract import test_frameworks, test_tagged_tools, test_tools
from tests.gguf_models import REASONING, TAGGED, TOOLS
from tests.server import RunningServer
from tests.vllm.catalog import catalog_of, serve_catalog
from tests.vllm.suites import suite_of
from tests.vllm.vllm_process import VLLMProcess

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
globals().update(suite_of(test_tools) | suite_of(test_tagged_tools) | suite_of(test_frameworks))


def with_template(demo: Path, folder: Path, template: str) -> Path:
    """The demo model's tokenizer with another chat template."""
    folder.mkdir()
    for name in ("config.json", "generation_config.json", "tokenizer.json"):
        shutil.copy(demo / name, folder)
    config = json.loads((demo / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": template}))
    return folder


@pytest.fixture(scope="module")
def tools_server(vllm: VLLMProcess, demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("tools")
    models = [
        catalog_of(name, with_template(demo, folder / name, template), vllm.root)
        for name, template in (("tools", TOOLS), ("tagged", TAGGED))
    ]
    with serve_catalog(folder, *models) as running:
        yield running


@pytest.fixture(scope="module")
def client(tools_server: RunningServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=tools_server.base_url, api_key="x", max_retries=0) as openai:
        yield openai


@pytest.fixture(scope="module")
def tagged(client: OpenAI) -> OpenAI:
    return client


@pytest.fixture(scope="module")
def url(tools_server: RunningServer) -> str:
    return tools_server.base_url


@pytest.fixture(scope="module")
def reasoner(vllm: VLLMProcess, demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    folder = tmp_path_factory.mktemp("reasoner")
    model = catalog_of("tools", with_template(demo, folder / "tools", REASONING), vllm.root)
    with (
        serve_catalog(folder, model, flags=("--template-kwargs", "thinks")) as running,
        OpenAI(base_url=running.base_url, api_key="x", max_retries=0) as openai,
    ):
        yield openai
