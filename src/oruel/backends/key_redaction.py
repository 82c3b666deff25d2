"""Wraps a Backend so that its errors never contain the API key of the upstream server."""

from contextlib import aclosing

from oruel.backends.base import Backend
from oruel.errors import OruelError, UpstreamFailed
from oruel.types import Answer, ChatRequest

PLACEHOLDER = "[key]"
# A shorter prefix of a key reveals little, and may be an ordinary word.
MIN_PREFIX = 4


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
            error.message = redact_key(error.message, self._key)
            error.param = redact_key(error.param, self._key) if error.param else None
            error.args = (error.message,)
            if isinstance(error, UpstreamFailed):
                error.detail = redact_key(error.detail, self._key)
            # The exception's cause may contain the key, too.
            raise error from None


def redact_key(text: str, key: str) -> str:
    """Replaces the key. Also replaces a prefix of it at the end of the text, where the text may have been truncated."""
    text = text.replace(key, PLACEHOLDER)
    truncated = text.removesuffix("…")
    for length in range(min(len(key), len(truncated)), MIN_PREFIX - 1, -1):
        if truncated.endswith(key[:length]):
            return f"{truncated[:-length]}{PLACEHOLDER}"
    return text
