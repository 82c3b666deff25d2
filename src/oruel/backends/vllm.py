"""A vLLM with our plugin as a Backend."""

from collections.abc import Callable
from contextlib import aclosing

from oruel.backends.base import Backend
from oruel.engine.vllm.engine import VLLMEngine
from oruel.types import Answer, ChatRequest


class VLLMBackend:
    """Lets vLLM introduce itself before a request where that is due, since only then its window is known. `build`
    makes the backend of a window, in tokens.
    """

    def __init__(self, engine: VLLMEngine, build: Callable[[int], Backend]) -> None:
        self._engine = engine
        self._build = build

    async def stream(self, request: ChatRequest) -> Answer:
        """Raises VLLMUnusable, UpstreamFailed, Overloaded, and what the backend raises."""
        hello = await self._engine.start()
        async with aclosing(self._build(hello.usable_window).stream(request)) as answer:
            async for item in answer:
                yield item
