"""The official client against the server that a newcomer gets."""

from collections.abc import Iterator

import pytest
from openai import OpenAI

from tests.server import RunningServer, oruel_serve


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    with oruel_serve() as running:
        yield running


@pytest.fixture(scope="session")
def client(server: RunningServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as openai:
        yield openai
