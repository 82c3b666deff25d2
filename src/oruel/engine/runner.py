"""A plan becomes one batch of llama.cpp, and the batch rows of logits."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from oruel.engine.scheduler import Chunk


class Context(Protocol):
    """What the engine needs of a model in memory; llama.context.Context has it."""

    def decode(
        self,
        tokens: Sequence[int],
        positions: Sequence[int],
        sequence_ids: NDArray[np.integer[Any]],
        outputs: NDArray[np.bool_],
    ) -> NDArray[np.float32]: ...

    def forget(self, sequence_id: int) -> None: ...


def run(context: Context, chunks: tuple[Chunk, ...]) -> NDArray[np.float32]:
    """Computes the chunks' tokens. Returns (chunks that yield, vocabulary) float32 logits in the order of the
    chunks: libllama's own memory, valid until the next call. Raises EngineFailed.
    """
    counts = [chunk.count for chunk in chunks]
    tokens = [token for chunk in chunks for token in chunk.sequence.next_tokens(chunk.count)]
    positions = [
        position
        for chunk in chunks
        for position in range(chunk.sequence.computed, chunk.sequence.computed + chunk.count)
    ]
    slots = np.repeat([chunk.sequence.slot for chunk in chunks], counts)
    outputs = np.zeros(len(tokens), dtype=bool)
    outputs[np.cumsum(counts) - 1] = [chunk.yields for chunk in chunks]
    return context.decode(tokens, positions, slots, outputs)
