"""Which backend answers a request, by the name of its model."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from oruel.backends.base import Backend
from oruel.router.catalog import Catalog
from oruel.types import ChatRequest, Delta


class Router:
    """A Backend over backends by model name. Raises ModelNotFound for names that the catalog doesn't hold."""

    def __init__(self, catalog: Catalog, backends: Mapping[str, Backend]) -> None:
        self._catalog = catalog
        self._backends = backends

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        backend = self._backends[self._catalog.resolve(request.model).name]
        async with aclosing(backend.stream(request)) as deltas:
            async for delta in deltas:
                yield delta
