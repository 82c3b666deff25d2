"""The interface for running work in a separate process, within limits of time and memory."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, TypeVar

from oruel.text.tokenizer import Tokenizer

Kind = Literal["body", "schema", "prompt", "tokenize"]

Tokenizers = Mapping[str, Tokenizer]
"""By the path of the model's file or folder."""

Q = TypeVar("Q")
A = TypeVar("A")

Work = Callable[[Any, Q], A]
"""A module-level function of the loaded tokenizers and a question. Its annotations name the types of the question and
the answer, each bytes or a type that msgspec can encode as JSON.
"""


class Jobs(Protocol):
    """Runs jobs concurrently. Each kind of work has its own slots, which accounts share fairly."""

    async def run(self, work: Work[Q, A], question: Q, *, kind: Kind, account: str = "", param: str | None = None) -> A:
        """Returns the answer of `work` to `question`. Cancelling the call ends the job. `param` is the field that
        errors name; None stands for the whole body.

        Raises what the work raises, TooCostly if the job exceeds its CPU time or memory, Overloaded if it has to wait
        or run for too long, and PreparationFailed if the job server dies.
        """
