"""Wraps a Backend so that its errors never contain the API key of the upstream server."""

from contextlib import aclosing

from oruel.backends.base import Backend
from oruel.errors import OruelError
from oruel.http.redaction import redact_error
from oruel.types import Answer, ChatRequest


class KeyRedaction:
    """Some servers quote a rejected key in their error messages, but callers must not see the operator's key."""

    def __init__(self, backend: Backend, key: str) -> None:
        self._backend = backend
        self._key = key

    async def stream(self, request: ChatRequest) -> Answer:
        """Raises what the backend raises."""
        try:
            async with aclosing(self._backend.stream(request)) as answer:
                async for item in answer:
                    yield item
        except OruelError as error:
            redact_error(error, self._key)
            # The exception's cause may contain the key, too.
            raise error from None
