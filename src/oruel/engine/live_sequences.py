"""The sequences that an engine is working on, and how many there may be."""

import itertools
import math

from oruel.engine.generation import Generation
from oruel.errors import InvalidParameter, OruelError, Overloaded

MAX_RETRY_SECONDS = 60


class LiveSequences:
    """Maps the number of each live sequence to its request. Holds at most `max_waiting` sequences in addition to the
    `parallel` that the engine runs at once.
    """

    def __init__(self, max_waiting: int) -> None:
        self.parallel = 0
        self._max_waiting = max_waiting
        self._generations: dict[int, Generation] = {}
        self._ids = itertools.count()

    @property
    def capacity(self) -> int:
        return self.parallel + self._max_waiting

    @property
    def count(self) -> int:
        return len(self._generations)

    @property
    def admitted(self) -> int:
        """How many are of requests that have left the queue."""
        return sum(generation.admission is not None for generation in self._generations.values())

    def numbers(self, count: int) -> list[int]:
        """Numbers for new sequences, never used before."""
        return list(itertools.islice(self._ids, count))

    def add(self, sequence: int, generation: Generation) -> None:
        self._generations[sequence] = generation

    def get(self, sequence: int) -> Generation | None:
        return self._generations.get(sequence)

    def remove(self, sequence: int) -> Generation | None:
        """None if the sequence isn't live."""
        return self._generations.pop(sequence, None)

    def fail(self, error: OruelError) -> None:
        """Fails every request, and forgets its sequences."""
        for generation in set(self._generations.values()):
            generation.receive(error)
        self._generations.clear()

    def require_room(self, choices: int) -> None:
        """Raises Overloaded if the queue has no room for `choices` sequences now, InvalidParameter if it never will."""
        if choices > self.capacity:
            raise InvalidParameter(
                f"n is {choices}, but this server allows at most {self.capacity} choices, running or waiting. "
                "Request fewer.",
                param="n",
            )
        if len(self._generations) + choices > self.capacity:
            seconds = self._retry_seconds()
            raise Overloaded(
                f"The queue is full: {len(self._generations)} sequences are running or waiting, of at most "
                f"{self.capacity}. Try again in {seconds} s.",
                retry_after=seconds,
            )

    def _retry_seconds(self) -> int:
        """The time that the head of the queue has waited, which is about how long the queue takes to advance."""
        waiting = (generation.age for generation in self._generations.values() if generation.admission is None)
        return min(max(1, math.ceil(max(waiting, default=0.0))), MAX_RETRY_SECONDS)
