"""A KV cache and the compute graph over one model: token ids in, logits out."""

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from oruel.errors import ConfigError, EngineFailed, ModelLoadError
from oruel.llama import bindings
from oruel.llama.model import Model

Integers = Sequence[int] | npt.NDArray[np.integer[Any]]
Flags = Sequence[bool] | npt.NDArray[np.bool_]

CELLS_MULTIPLE = 256

FAILURES = {
    1: "no KV cells are free for the batch",
    2: "the computation was aborted",
    -1: "the batch is invalid",
}


class Context:
    """Holds up to `sequences` sequences of up to `window` tokens, each in its own cells, and runs batches of at most
    `batch` tokens.

    Separate cells keep a sequence's cells in order of position, which its sums depend on. Not thread-safe. `window` may
    be larger than requested: llama.cpp rounds up to a multiple of 256.
    """

    def __init__(self, model: Model, *, window: int, sequences: int, batch: int, threads: int) -> None:
        """All counts are at least 1. Raises ConfigError for more than 256 sequences, ModelLoadError if memory
        is short.
        """
        assert min(window, sequences, batch, threads) >= 1, (window, sequences, batch, threads)
        if sequences > bindings.MAX_SEQUENCES:
            raise ConfigError(f"{sequences} parallel sequences were requested; llama.cpp supports up to 256.")
        self.model = model
        self._lib, self._ffi = model.library.lib, model.library.ffi
        self._pointer = self._create(window, sequences, batch, threads)
        # The finalizer references the model, so that it outlives the context whichever is collected first.
        self._free = weakref.finalize(self, _free, self._pointer, model)
        model.contexts.add(self)
        self.window = int(self._lib.llama_n_ctx(self._pointer)) // sequences
        self.batch = int(self._lib.llama_n_batch(self._pointer))
        self.sequences = sequences
        self._threads = threads
        assert self.window >= window, (self.window, window)
        self._memory = self._lib.llama_get_memory(self._pointer)
        self._make_batch()

    def _create(self, window: int, sequences: int, batch: int, threads: int) -> Any:
        cells = -(-window // CELLS_MULTIPLE) * CELLS_MULTIPLE * sequences
        params = self.model.library.context_params()
        params.n_ctx = cells
        params.n_seq_max = sequences
        params.n_batch = params.n_ubatch = min(batch, cells)
        params.n_threads = params.n_threads_batch = threads
        params.kv_unified = False
        params.offload_kqv = params.op_offload = self.model.uses_gpu
        log = self.model.library.log
        log.errors.clear()
        pointer = self._lib.llama_init_from_model(self.model.pointer, params[0])
        if pointer == self._ffi.NULL:
            raise ModelLoadError(
                f"{self.model.path} is loaded, but there is no room for a KV cache of {cells} tokens: "
                f"{'; '.join(log.errors) or 'llama.cpp gave no reason'}. Ask for fewer."
            )
        return pointer

    def _make_batch(self) -> None:
        """One batch for the lifetime of the context, with NumPy arrays. Each token belongs to one sequence."""
        self._tokens = np.zeros(self.batch, np.int32)
        self._positions = np.zeros(self.batch, np.int32)
        self._sequence_ids = np.zeros(self.batch, np.int32)
        self._outputs = np.zeros(self.batch, np.int8)
        self._sequence_counts = np.ones(self.batch, np.int32)
        # C needs a pointer per token to the token's sequence ids; here each points into one array.
        stride = self._sequence_ids.itemsize
        self._sequence_pointers = self._sequence_ids.ctypes.data + stride * np.arange(self.batch, dtype=np.uintp)
        self._batch = self._ffi.new("llama_batch *")
        self._batch.token = self._address("int32_t *", self._tokens)
        self._batch.pos = self._address("int32_t *", self._positions)
        self._batch.n_seq_id = self._address("int32_t *", self._sequence_counts)
        self._batch.seq_id = self._address("int32_t **", self._sequence_pointers)
        self._batch.logits = self._address("int8_t *", self._outputs)

    def _address(self, c_type: str, array: npt.NDArray[Any]) -> Any:
        return self._ffi.cast(c_type, array.ctypes.data)

    def decode(
        self, tokens: Integers, positions: Integers, sequence_ids: Integers, outputs: Flags
    ) -> npt.NDArray[np.float32]:
        """Computes one step and returns the logits of the tokens whose `outputs` is true, in batch order.

        The four arguments have the same length, from 1 to `batch`. Token i is appended to its sequence at its position,
        which follows the sequence's last. Returns a view of shape (number of outputs, vocabulary), valid until the next
        call.

        Raises EngineFailed with llama.cpp's return code if the step can't be computed.
        """
        count = len(tokens)
        assert 1 <= count <= self.batch, (count, self.batch)
        assert len(positions) == len(sequence_ids) == len(outputs) == count
        assert within(tokens, self.model.vocabulary.size)
        assert within(positions, self.window)
        assert within(sequence_ids, self.sequences)
        self._tokens[:count] = tokens
        self._positions[:count] = positions
        self._sequence_ids[:count] = sequence_ids
        self._outputs[:count] = outputs
        self._batch.n_tokens = count
        code = self._lib.llama_decode(self.pointer, self._batch[0])
        if code != 0:
            raise EngineFailed(f"llama_decode returned {code}: {FAILURES.get(code, 'a fatal error')}.")
        return self._logits(sum(map(bool, outputs)))

    @property
    def threads(self) -> int:
        """How many threads compute a step. May be set between two steps. No bit of a step that follows the rules of
        docs/determinism.md depends on it.
        """
        return self._threads

    @threads.setter
    def threads(self, count: int) -> None:
        """The number of compute threads, which may be set between steps. No bit of a step that follows the rules of
        docs/determinism.md depends on it.
        """
        assert count >= 1, count
        self._lib.llama_set_n_threads(self.pointer, count, count)
        self._threads = count

    def _logits(self, rows: int) -> npt.NDArray[np.float32]:
        columns = self.model.vocabulary.size
        if rows == 0:
            return np.empty((0, columns), np.float32)
        memory = self._ffi.buffer(self._lib.llama_get_logits(self.pointer), rows * columns * 4)
        return np.frombuffer(memory, np.float32).reshape(rows, columns)

    def wait(self) -> None:
        """Returns when everything decoded is computed. A GPU computes asynchronously until logits are read."""
        self._lib.llama_synchronize(self.pointer)

    def forget(self, sequence_id: int, from_position: int = 0) -> None:
        """Frees the cells of a sequence from a position on; without a position, all of them."""
        assert 0 <= sequence_id < self.sequences, sequence_id
        assert from_position >= 0, from_position
        memory = self._lib.llama_get_memory(self.pointer)
        if not self._lib.llama_memory_seq_rm(memory, sequence_id, from_position, -1):
            raise EngineFailed(f"This model can't forget part of a sequence (from position {from_position}).")

    def copy(self, source: int, target: int) -> None:
        """Replaces the content of `target` by that of `source`, at the cost of copying a whole window."""
        assert 0 <= source < self.sequences, source
        assert 0 <= target < self.sequences, target
        assert source != target
        self._lib.llama_memory_seq_cp(self._memory, source, target, -1, -1)

    @property
    def pointer(self) -> Any:
        """The `llama_context *`, for this folder only."""
        assert self._free.alive, "the context is closed"
        return self._pointer

    def close(self) -> None:
        """Frees the cells. Closing twice is harmless."""
        self._free()
        self.model.contexts.discard(self)

    def __enter__(self) -> "Context":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def within(values: Integers, limit: int) -> bool:
    """Whether all lie in [0, limit). Batches are short lists, for which Python is faster than NumPy."""
    return min(values) >= 0 and max(values) < limit


def _free(pointer: Any, model: Model) -> None:
    model.library.lib.llama_free(pointer)
