"""The protocol that everything that answers chat requests implements. To add behaviour, wrap a Backend."""

from typing import Protocol

from oruel.types import Answer, ChatRequest


class Backend(Protocol):
    def stream(self, request: ChatRequest) -> Answer:
        """The answer: Prepared, Accepted, then deltas. Closing the generator cancels the request; there is no other way
        to abort.

        Raises RequestError before the first delta if the request is invalid, ServerError at any time.
        """
