from collections.abc import AsyncIterator

import pytest

from oruel.verify.probe import Probe
from oruel.verify.profile import ORUEL
from oruel.verify.reply import Facts
from tests.verify.in_process import endpoint_of
from tests.verify.toy_server import ToyServer


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def probe() -> AsyncIterator[Probe]:
    """Of the honest toy, without a survey."""
    async with endpoint_of(ToyServer()) as endpoint:
        yield Probe(endpoint, Facts(), ORUEL, alpha=1e-6)
