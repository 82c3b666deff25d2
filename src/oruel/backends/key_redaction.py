"""Wraps a Backend that uses a key, so that no error repeats the key, whatever the other server says."""

from contextlib import aclosing

from oruel.backends.base import Backend
from oruel.errors import OruelError, UpstreamFailed
from oruel.types import Answer, ChatRequest

PLACEHOLDER = "[key]"
# A shorter part of a key reveals nothing, and may be an ordinary word.
MIN_PREFIX = 4


class KeyRedaction:
    """Servers quote the key that they reject, and callers must not see the operator's key."""

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
    """Also removes the beginning of a key where the text was cut."""
    text = text.replace(key, PLACEHOLDER)
    whole = text.removesuffix("…")
    for shown in range(min(len(key), len(whole)), MIN_PREFIX - 1, -1):
        if whole.endswith(key[:shown]):
            return f"{whole[:-shown]}{PLACEHOLDER}"
    return text
