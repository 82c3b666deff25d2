"""The protocol of everything that answers chat requests. Behaviour is added by wrapping a Backend."""

from typing import Protocol

from oruel.types import Answer, ChatRequest


class Backend(Protocol):
    def stream(self, request: ChatRequest) -> Answer:
        """The answer: Accepted, then deltas. Closing the generator cancels the request; there is no other way to abort.

        Raises RequestError before the first delta for what the caller can fix, ServerError at any time.
        """
