"""Work that runs in a process of its own, within limits: what a caller asks for, and who does it."""

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
    """Runs work of several accounts at once, each kind in places of its own, with fair turns between accounts."""

    async def run(self, work: Work[Q, A], question: Q, *, kind: Kind, account: str = "", param: str | None = None) -> A:
        """What `work` returns for `question`. A caller who is cancelled ends the work. `param` names the field of the
        request that the work is for.

        Raises what the work raises; TooCostly where it takes more time or memory than it may; Overloaded.
        """
