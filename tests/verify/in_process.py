"""The checker's side of a connection to a server in this process."""

import contextlib
import time
from collections.abc import AsyncIterator
from unittest import mock

import httpx2

from oruel.verify.budget import Budget
from oruel.verify.endpoint import Endpoint
from tests.asgi import InProcess
from tests.verify.toy_server import MODEL, ToyServer


@contextlib.asynccontextmanager
async def endpoint_of(server: ToyServer) -> AsyncIterator[Endpoint]:
    """Times are the server's own, so that they don't depend on how busy the machine is."""
    with mock.patch.object(time, "perf_counter", server.seconds):
        async with httpx2.AsyncClient(transport=InProcess(server), trust_env=False) as client:
            yield Endpoint("http://toy/v1", MODEL, client, Budget())
