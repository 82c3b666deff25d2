"""The one seam: whatever answers a chat request is a Backend, and behaviour is added by wrapping one."""

from collections.abc import AsyncGenerator
from typing import Protocol

from oruel.types import ChatRequest, Delta


class Backend(Protocol):
    def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """The answer, delta by delta. Closing the generator cancels the request; there is no other way to abort.

        Raises RequestError before the first delta for what the caller can mend, ServerError at any time.
        """
