"""A KV cache and compute graph for one model: token ids in, logits out."""

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
    """Holds up to `sequences` sequences of up to `window` tokens, and decodes batches of up to `batch` tokens.

    Each sequence has its own cells, which stay in order of position: floating-point sums depend on that order. `window`
    may be larger than requested, because llama.cpp rounds up to a multiple of 256. Not thread-safe.
    """

    def __init__(self, model: Model, *, window: int, sequences: int, batch: int, threads: int) -> None:
        """All counts are at least 1. Raises ConfigError for more than 256 sequences, and ModelLoadError if memory runs
        out.
        """
        assert min(window, sequences, batch, threads) >= 1, (window, sequences, batch, threads)
        if sequences > bindings.MAX_SEQUENCES:
            raise ConfigError(
                f"{sequences} parallel sequences were requested. llama.cpp supports at most {bindings.MAX_SEQUENCES}."
            )
        self.model = model
        self._lib, self._ffi = model.library.lib, model.library.ffi
        self._pointer = self._create(window, sequences, batch, threads)
        # The finalizer references the model, so the model outlives the context.
        self._free = weakref.finalize(self, _free, self._pointer, model)
        model.contexts.add(self)
        self.window = int(self._lib.llama_n_ctx(self._pointer)) // sequences
        self.batch = int(self._lib.llama_n_batch(self._pointer))
        self.sequences = sequences
        self._threads = threads
        assert self.window >= window, (self.window, window)
        self._memory = self._lib.llama_get_memory(self._pointer)
        self._allocate_batch()

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
                f"{self.model.path} was loaded, but a KV cache of {cells} tokens doesn't fit in memory: "
                f"{'; '.join(log.errors) or 'llama.cpp gave no reason'}. Reduce the window or the number of sequences."
            )
        return pointer

    def _allocate_batch(self) -> None:
        """Allocates the batch that every step reuses. Its fields are NumPy arrays; each token has one sequence."""
        self._tokens = np.zeros(self.batch, np.int32)
        self._positions = np.zeros(self.batch, np.int32)
        self._sequence_ids = np.zeros(self.batch, np.int32)
        self._outputs = np.zeros(self.batch, np.int8)
        self._sequence_counts = np.ones(self.batch, np.int32)
        # C expects one pointer per token to that token's sequence ids. All of them point into one array.
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
        """Computes one step and returns the logits of the tokens whose `outputs` flag is true, in batch order.

        The four arguments have the same length, from 1 to `batch`. `tokens[i]` is appended to the sequence
        `sequence_ids[i]` at `positions[i]`, the next free position of that sequence. Returns a view of shape (number of
        outputs, vocabulary size) that is valid until the next call.

        Raises EngineFailed with llama.cpp's return code if the step can't be computed.
        """
        count = len(tokens)
        assert 1 <= count <= self.batch, (count, self.batch)
        assert len(positions) == len(sequence_ids) == len(outputs) == count
        assert all_below(tokens, self.model.vocabulary.size)
        assert all_below(positions, self.window)
        assert all_below(sequence_ids, self.sequences)
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
        """The number of compute threads, which may be set between steps. It doesn't change the logits of steps that
        follow the rules in docs/determinism.md.
        """
        return self._threads

    @threads.setter
    def threads(self, count: int) -> None:
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
        """Blocks until every decoded step is computed. On a GPU, `decode` returns earlier if it has no outputs."""
        self._lib.llama_synchronize(self.pointer)

    def forget(self, sequence_id: int, from_position: int = 0) -> None:
        """Frees the cells of a sequence from `from_position` onwards; by default all of them.

        Raises EngineFailed if the model can't truncate a sequence (see `Model.can_forget`).
        """
        assert 0 <= sequence_id < self.sequences, sequence_id
        assert from_position >= 0, from_position
        memory = self._lib.llama_get_memory(self.pointer)
        if not self._lib.llama_memory_seq_rm(memory, sequence_id, from_position, -1):
            raise EngineFailed(f"This model can't truncate a sequence at position {from_position}.")

    def copy(self, source: int, target: int) -> None:
        """Replaces the cells of `target` with those of `source`. The copy covers a whole window."""
        assert 0 <= source < self.sequences, source
        assert 0 <= target < self.sequences, target
        assert source != target
        self._lib.llama_memory_seq_cp(self._memory, source, target, -1, -1)

    @property
    def pointer(self) -> Any:
        """The `llama_context *`. Only modules of this folder use it."""
        assert self._free.alive, "the context is closed"
        return self._pointer

    def close(self) -> None:
        """Frees the KV cache. Closing twice is safe."""
        self._free()
        self.model.contexts.discard(self)

    def __enter__(self) -> "Context":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def all_below(values: Integers, limit: int) -> bool:
    """Whether every value is in [0, limit). Batches are short lists, for which Python is faster than NumPy."""
    return min(values) >= 0 and max(values) < limit


def _free(pointer: Any, model: Model) -> None:
    model.library.lib.llama_free(pointer)
