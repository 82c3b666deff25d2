"""A stub of an upstream server, on a clock that doesn't wait."""

from collections.abc import AsyncIterator

import pytest

from tests.stub_server import Stub, stub_server
from tests.virtual_time import VIRTUAL_TIME


@pytest.fixture
def anyio_backend() -> object:
    return VIRTUAL_TIME


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    async with stub_server() as running:
        yield running
