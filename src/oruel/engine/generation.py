"""The tokens of one request as they arrive from an engine."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from oruel.engine.protocol import SequenceFailed, TokenOutput
from oruel.errors import AnswerUnread, EngineFailed, InvalidParameter, OruelError

# How many tokens of a request, over all choices, may wait for a client that doesn't read.
MAX_UNREAD = 2**14

Arrival = TokenOutput | SequenceFailed | OruelError


@dataclass(frozen=True, slots=True)
class Admission:
    """The seconds that a request was `queued`, and how many tokens of its prompt were `cached`."""

    queued: float
    cached: int


class Generation:
    """The sequences of one request, one per choice. Each is live until it ends or is cancelled.

    The engine calls `start`, `receive` and, if it `reports_late`, `settle`. `cancel_sequence` tells it to forget one.
    """

    def __init__(
        self, sequences: list[int], cancel_sequence: Callable[[int], None], *, reports_late: bool = False
    ) -> None:
        self.admission: Admission | None = None
        self._is_settled = asyncio.Event()
        if not reports_late:
            self._is_settled.set()
        self._cancel_sequence = cancel_sequence
        self._choices = {sequence: choice for choice, sequence in enumerate(sequences)}
        self._arrived: list[Arrival] = []
        self._submitted = time.perf_counter()
        self._changed = asyncio.Event()

    @property
    def age(self) -> float:
        """Seconds since the request was submitted."""
        return time.perf_counter() - self._submitted

    async def started(self) -> Admission:
        """Waits until the first sequence of the request leaves the queue. Raises the same errors as `outputs`."""
        await self._changed.wait()
        if self.admission is None:
            await self.outputs()
        assert self.admission is not None, "a generation changes by its admission or by a failure"
        return self.admission

    async def outputs(self) -> list[tuple[int, TokenOutput]]:
        """Waits for output. Returns everything that arrived since the last call as (choice, output), at least one item.

        Raises AnswerUnread, InvalidParameter if the constraint can't be enforced, and what the engine failed with.
        """
        while not self._arrived:
            self._changed.clear()
            await self._changed.wait()
        arrived, self._arrived = self._arrived, []
        return [(self._choices[output.sequence], output) for output in map(self._token, arrived)]

    def _token(self, arrival: Arrival) -> TokenOutput:
        match arrival:
            case SequenceFailed(_, message, ""):
                raise EngineFailed(message)
            case SequenceFailed(_, message, param):
                raise InvalidParameter(f"{param} can't be enforced: {message}.", param=param)
            case OruelError():
                raise arrival
            case TokenOutput():
                return arrival

    @property
    def cached(self) -> int:
        """How many tokens of the prompt were cached, as far as the engine has reported it."""
        return self.admission.cached if self.admission else 0

    async def settled(self) -> None:
        """Waits until `cached` is final. All sequences have ended or are cancelled."""
        await self._is_settled.wait()

    def cancel(self, choice: int) -> None:
        for sequence, its_choice in self._choices.items():
            if its_choice == choice:
                self._cancel_sequence(sequence)

    def cancel_all(self) -> None:
        for sequence in self._choices:
            self._cancel_sequence(sequence)

    def start(self, cached: int = 0) -> None:
        """Records the admission of the first sequence only: the others reuse its computed prompt."""
        self.admission = self.admission or Admission(self.age, cached)
        self._changed.set()

    def settle(self, cached: int) -> None:
        """Records the final number of cached tokens, of an engine that reports it at the end."""
        if self.admission:
            self.admission = replace(self.admission, cached=cached)
        self._is_settled.set()

    def receive(self, arrival: Arrival) -> None:
        if isinstance(arrival, TokenOutput):
            self.start()
        self._arrived.append(arrival)
        self._changed.set()
        if len(self._arrived) == MAX_UNREAD:
            self.cancel_all()
            self._arrived.append(AnswerUnread(f"{MAX_UNREAD} tokens of this answer were not read. Read it faster."))
