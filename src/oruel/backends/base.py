"""The protocol that everything that answers chat requests implements. To add behaviour, wrap a Backend."""

from collections.abc import AsyncGenerator
from typing import Protocol

from oruel.types import ChatRequest, Delta


class Backend(Protocol):
    def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Yields the deltas of the answer. To cancel the request, close the generator.

        Raises RequestError before the first delta if the request is invalid, ServerError at any time.
        """
