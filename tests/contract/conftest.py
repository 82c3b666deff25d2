"""The official client against the server that a newcomer gets, and a server whose model has tools."""

from collections.abc import Iterator

import pytest
from openai import OpenAI

from tests.gguf_models import tool_model
from tests.server import RunningServer, oruel_serve


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    with oruel_serve() as running:
        yield running


@pytest.fixture(scope="session")
def client(server: RunningServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as openai:
        yield openai


@pytest.fixture(scope="session")
def tools_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Its model is called tools."""
    with oruel_serve("--model", str(tool_model(tmp_path_factory.mktemp("model")))) as running:
        yield running
