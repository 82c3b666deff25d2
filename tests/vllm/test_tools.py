"""Tools, schemas, reasoning and frameworks with vLLM behind: one model of random weights, whose deployments differ in
their chat templates.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from tests.contract import test_families, test_frameworks, test_tagged_tools, test_tools
from tests.gguf_models import REASONING, TAGGED, TOOLS
from tests.vllm.catalog import catalog_of, serve_catalog
from tests.vllm.random_model import with_template
from tests.vllm.suites import suite_of
from tests.vllm.vllm_process import VLLMProcess

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Pydantic serializer warnings:UserWarning")
globals().update(
    suite_of(test_tools) | suite_of(test_tagged_tools) | suite_of(test_families) | suite_of(test_frameworks)
)


def serve(vllm: VLLMProcess, model: Path, folder: Path, template: str, *flags: str) -> Iterator[OpenAI]:
    """A server whose model "tools", alias "tagged", has the chat template."""
    tokenizer = with_template(model, folder / "tokenizer", template)
    catalog = catalog_of("tools", tokenizer, vllm.root, settings='aliases = ["tagged"]')
    with (
        serve_catalog(folder, catalog, flags=flags) as running,
        OpenAI(base_url=running.base_url, api_key="x", max_retries=0) as openai,
    ):
        yield openai


@pytest.fixture(scope="module")
def client(random_vllm: VLLMProcess, random_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    yield from serve(random_vllm, random_model, tmp_path_factory.mktemp("tools"), TOOLS)


@pytest.fixture(scope="module")
def reasoner(
    random_vllm: VLLMProcess, random_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpenAI]:
    folder = tmp_path_factory.mktemp("reasoner")
    yield from serve(random_vllm, random_model, folder, REASONING, "--template-kwargs", "thinks")


@pytest.fixture(scope="module")
def tagged(random_vllm: VLLMProcess, random_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    yield from serve(random_vllm, random_model, tmp_path_factory.mktemp("tagged"), TAGGED)


@pytest.fixture(scope="module")
def harmony(random_vllm: VLLMProcess, random_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    yield from serve(random_vllm, random_model, tmp_path_factory.mktemp("harmony"), test_families.HARMONY)


@pytest.fixture(scope="module")
def python(random_vllm: VLLMProcess, random_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    yield from serve(random_vllm, random_model, tmp_path_factory.mktemp("python"), test_families.PYTHON)


@pytest.fixture(scope="module")
def url(client: OpenAI) -> str:
    return str(client.base_url)
