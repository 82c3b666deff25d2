"""The protocol of everything that answers chat requests. Behaviour is added by wrapping a Backend."""

from collections.abc import AsyncGenerator
from typing import Protocol

from oruel.types import ChatRequest, Delta


class Backend(Protocol):
    def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """The answer, delta by delta. Closing the generator cancels the request; there is no other way to abort.

        Raises RequestError before the first delta for what the caller can fix, ServerError at any time.
        """
