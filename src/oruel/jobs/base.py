"""Work that runs in a process of its own, within limits."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, TypeVar

from oruel.text.tokenizer import Tokenizer

Kind = Literal["body", "schema", "prompt", "tokenize"]

Tokenizers = Mapping[str, Tokenizer]
"""By the path of the model file."""

Q = TypeVar("Q")
A = TypeVar("A")

Work = Callable[[Any, Q], A]
"""A function at the top level of a module. It takes the tokenizers that were opened before, and a question. Question
and answer are of types that msgspec reads and writes as JSON, or bytes; its annotations name them.
"""


class Jobs(Protocol):
    """Runs work for several accounts at once. Each kind of work has its own slots, with fair turns between accounts."""

    async def run(self, work: Work[Q, A], question: Q, *, kind: Kind, account: str = "", param: str | None = None) -> A:
        """The result of `work` for `question`. Cancelling the caller ends the work. `param` names the field of the
        request that the work is for.

        Raises what the work raises; TooCostly if it exceeds its limits of time or memory; Overloaded.
        """
