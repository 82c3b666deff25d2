"""The official client against the server that a newcomer gets, and a server whose model has tools."""

import asyncio
from collections.abc import Iterator
from inspect import iscoroutinefunction, signature

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


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs a coroutine, such as some of LangChain's standard tests, in an event loop of its own."""
    if not iscoroutinefunction(pyfuncitem.obj):
        return None
    names = signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True
