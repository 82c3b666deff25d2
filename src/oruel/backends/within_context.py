"""Wraps a Backend that refuses a max_tokens that exceeds its context: lowers max_tokens to what fits."""

from contextlib import aclosing
from dataclasses import replace

from oruel.backends.base import Backend
from oruel.backends.prompt_bound import most_prompt_tokens
from oruel.errors import ContextLengthExceeded, InvalidParameter
from oruel.types import Accepted, Answer, ChatRequest, Delta, Prepared, ResponseFormat


class WithinContext:
    """`context` is the context length of the backend's model, in tokens. The prompt is counted only after a refusal,
    with a request for one token.
    """

    def __init__(self, backend: Backend, context: int) -> None:
        self._backend = backend
        self._context = context

    async def stream(self, request: ChatRequest) -> Answer:
        """Raises what the backend raises."""
        try:
            async with aclosing(self._backend.stream(self._within(request, prompt_tokens=1))) as answer:
                async for item in answer:
                    yield self._bounded(item)
            return
        except (InvalidParameter, ContextLengthExceeded):
            if request.max_tokens is None or request.max_tokens + most_prompt_tokens(request) <= self._context:
                raise
            shorter = self._within(request, await self._prompt_tokens(request))
            if shorter.max_tokens == request.max_tokens:
                raise
        async with aclosing(self._backend.stream(shorter)) as answer:
            async for item in answer:
                yield self._bounded(item)

    def _bounded(self, item: Prepared | Accepted | Delta) -> Prepared | Accepted | Delta:
        if not isinstance(item, Prepared):
            return item
        return Prepared(min(item.prompt_tokens, self._context), min(item.max_tokens, self._context))

    def _within(self, request: ChatRequest, prompt_tokens: int) -> ChatRequest:
        room = self._context - prompt_tokens
        if request.max_tokens is None or not 0 < room < request.max_tokens:
            return request
        return replace(request, max_tokens=room)

    async def _prompt_tokens(self, request: ChatRequest) -> int:
        """Raises what the backend raises: a refusal here means that max_tokens was not the reason for the first one."""
        probe = replace(request, max_tokens=1, n=1, response_format=ResponseFormat())
        used = 0
        async with aclosing(self._backend.stream(probe)) as answer:
            async for item in answer:
                if isinstance(item, Delta) and item.usage:
                    used = item.usage.prompt_tokens
        return used
