"""What the plugin's processors need of vLLM, as 0.32 shows it to them, and a batch that changes at will: requests come
and leave, move to other places, are preempted, and wait for parts of their prompts. Uses vLLM's own types where it is
installed.
"""

import hashlib
import importlib.util
import random
import sys
import types
from abc import ABC
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import Enum, auto
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

from oruel.engine.vllm.wire import RowRequest, to_extra_args
from tests.vllm_plugin.rows import SIZE

V1_INTERFACE = "vllm.v1.sample.logits_processor.interface"
V2_INTERFACE = "vllm.v1.worker.gpu.sample.logits_processor.interface"
SLOTS, WINDOW = 12, 256


class FakeProcessorV1(ABC):  # noqa: B024  # as vLLM's
    """Called with (config, device, is_pin_memory)."""


class FakeProcessorV2(ABC):  # noqa: B024
    """Called with (config, states)."""


class FakeDirection(Enum):
    UNIDIRECTIONAL = auto()
    SWAP = auto()


@dataclass(frozen=True)
class FakeUpdate:
    batch_size: int
    removed: Sequence[int]
    added: Sequence[Any]
    moved: Sequence[Any]


def import_processor() -> Any:
    """The module oruel_vllm.processor, with a small vLLM around it unless vLLM is installed."""
    with ExitStack() as stack:
        if importlib.util.find_spec("vllm") is None:
            stack.enter_context(patch.dict(sys.modules, fake_modules()))
        import oruel_vllm.processor

        return oruel_vllm.processor


def fake_modules() -> dict[str, types.ModuleType]:
    modules: dict[str, types.ModuleType] = {}
    for name in (V1_INTERFACE, V2_INTERFACE, "vllm.envs"):
        parts = name.split(".")
        for count in range(1, len(parts) + 1):
            part = ".".join(parts[:count])
            modules.setdefault(part, types.ModuleType(part))
    modules["vllm"].__dict__.update(__version__="0.32.0", envs=modules["vllm.envs"])
    modules["vllm.envs"].__dict__.update(VLLM_BATCH_INVARIANT=False)
    modules[V1_INTERFACE].__dict__.update(
        LogitsProcessor=FakeProcessorV1, BatchUpdate=FakeUpdate, MoveDirectionality=FakeDirection
    )
    modules[V2_INTERFACE].__dict__.update(LogitsProcessor=FakeProcessorV2)
    return modules


def config(ranks: int = 1) -> Any:
    """A vllm.config.VllmConfig."""
    return SimpleNamespace(
        model_config=SimpleNamespace(
            model="a model", tokenizer="a folder", tokenizer_revision=None, max_model_len=WINDOW, max_logprobs=21,
            dtype="torch.float32", get_vocab_size=lambda: SIZE,
        ),
        parallel_config=SimpleNamespace(world_size=ranks),
        scheduler_config=SimpleNamespace(max_num_seqs=SLOTS, policy="priority", async_scheduling=True),
        cache_config=SimpleNamespace(enable_prefix_caching=True),
        speculative_config=None,
    )  # fmt: skip


def logits_after(tokens: Sequence[int]) -> NDArray[np.float32]:
    """What the model computes after these tokens."""
    seed = hashlib.sha256(np.array(tokens, np.int64).tobytes()).digest()[:8]
    logits: NDArray[np.float32] = np.random.default_rng(int.from_bytes(seed)).normal(0, 3, SIZE).astype(np.float32)
    return logits


@dataclass
class FakeRequest:
    """`row` is None for a request of another client. `parts` of the prompt are computed before the first token."""

    number: int
    row: RowRequest | None
    length: int
    parts: int = 0
    output: list[int] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)

    @property
    def prompt(self) -> list[int]:
        return [self.number, 7, 7]

    @property
    def params(self) -> Any:
        return SimpleNamespace(extra_args=to_extra_args(self.row) if self.row else None)

    @property
    def is_finished(self) -> bool:
        ends = self.row.end_tokens if self.row else []
        return len(self.output) >= self.length or (bool(self.output) and self.output[-1] in ends)


class FakeRunner:
    """Runs `waiting` requests. `processors` belong to as many ranks, which see the same and have to choose the same."""

    def __init__(self, processors: Sequence[Any], waiting: Sequence[FakeRequest], seed: int) -> None:
        self.finished: list[FakeRequest] = []
        self._processors = processors
        self._waiting = list(waiting)
        self._chooser = random.Random(seed)
        self._batch: dict[int, FakeRequest] = {}

    def run(self) -> list[FakeRequest]:
        """The requests, by number."""
        while self._waiting or self._batch:
            self.step()
        return sorted(self.finished, key=lambda request: request.number)

    def step(self) -> None:
        raise NotImplementedError

    def _leaving(self) -> list[int]:
        """The places of finished requests, and of some that are preempted, to come back later."""
        leaving = []
        for index, request in self._batch.items():
            if request.is_finished:
                self.finished.append(request)
            elif self._chooser.random() < 0.05:
                self._waiting.insert(self._chooser.randrange(len(self._waiting) + 1), request)
            else:
                continue
            leaving.append(index)
        for index in leaving:
            del self._batch[index]
        return leaving

    def _arriving(self) -> list[FakeRequest]:
        count = min(len(self._waiting), SLOTS - len(self._batch), self._chooser.randrange(4))
        arriving = [self._waiting.pop(0) for _ in range(count)]
        for request in arriving:
            request.parts = self._chooser.randrange(3)
        return arriving

    def _finish(self, requests: Sequence[FakeRequest], logits: NDArray[np.float32], answers: Sequence[Any]) -> None:
        """`answers` are what each rank's processor made of the logits."""
        first = answers[0].numpy()
        assert all(np.array_equal(first, answer.numpy(), equal_nan=True) for answer in answers), "the ranks differ"
        for request, before, after in zip(requests, logits, first, strict=True):
            if request.row is None:
                assert np.array_equal(before, after), "the row of another client"
            if request.parts:
                request.parts -= 1
                continue
            request.output.append(int(after.argmax()))


class FakeV1Runner(FakeRunner):
    """Rows stay together: gaps are filled from the end. The lists of output tokens are as under async scheduling."""

    def step(self) -> None:
        removed, added, moved = self._leaving(), [], []
        free = sorted(set(range(SLOTS)) - self._batch.keys())
        for request in self._arriving():
            index = free.pop(0)
            removed = [one for one in removed if one != index]
            self._batch[index] = request
            request.shown = list(request.output)
            added.append((index, request.params, request.prompt, request.shown))
        processor = import_processor()
        while self._batch and max(self._batch) >= len(self._batch):
            source, target = max(self._batch), min(set(range(SLOTS)) - self._batch.keys())
            self._batch[target] = self._batch.pop(source)
            moved.append((source, target, processor.MoveDirectionality.UNIDIRECTIONAL))
        if len(self._batch) > 1 and self._chooser.random() < 0.3:
            one, other = self._chooser.sample(sorted(self._batch), 2)
            self._batch[one], self._batch[other] = self._batch[other], self._batch[one]
            moved.append((one, other, processor.MoveDirectionality.SWAP))
        update = processor.BatchUpdate(len(self._batch), removed, added, moved) if removed or added or moved else None
        requests = [self._batch[index] for index in range(len(self._batch))]
        logits = np.array([logits_after(request.prompt + request.output) for request in requests], np.float32)
        answers = []
        for one_rank in self._processors:
            one_rank.update_state(update)
            if requests:
                answers.append(one_rank.apply(torch.from_numpy(logits.copy())))
        if requests:
            self._finish(requests, logits, answers)
        for request in requests:
            request.shown += [-1] * (len(request.output) - len(request.shown))


class FakeV2Runner(FakeRunner):
    """Requests keep their slots, and the rows of a step come in any order."""

    def __init__(self, processors: Sequence[Any], waiting: Sequence[FakeRequest], seed: int, states: Any) -> None:
        super().__init__(processors, waiting, seed)
        self._states = states
        self._ours: dict[int, bool] = {}

    @staticmethod
    def new_states() -> Any:
        """A LogitsProcRequestState."""
        return SimpleNamespace(
            device=torch.device("cpu"),
            all_token_ids=SimpleNamespace(gpu=torch.zeros(SLOTS, WINDOW, dtype=torch.int32)),
            prompt_len=SimpleNamespace(np=np.zeros(SLOTS, np.int32)),
            prefill_len=SimpleNamespace(np=np.zeros(SLOTS, np.int32)),
        )

    def step(self) -> None:
        self._leaving()
        free = sorted(set(range(SLOTS)) - self._batch.keys(), reverse=True)
        for request in self._arriving():
            slot = free.pop()
            self._batch[slot] = request
            tokens = request.prompt + request.output
            self._states.prompt_len.np[slot] = len(request.prompt)
            self._states.prefill_len.np[slot] = len(tokens)
            self._states.all_token_ids.gpu[slot, : len(tokens)] = torch.tensor(tokens, dtype=torch.int32)
            wanted = {one_rank.add_request(slot, request.params) for one_rank in self._processors}
            assert wanted == {request.row is not None}
        for one_rank in self._processors:
            one_rank.apply_staged_writes()
        slots = self._chooser.sample(sorted(self._batch), len(self._batch))
        if not slots:
            return
        requests = [self._batch[slot] for slot in slots]
        lengths = [len(one.prompt + one.output) - (1 if one.parts else 0) for one in requests]
        context = SimpleNamespace(idx_mapping_np=np.array(slots), seq_lens_upper_bound_np=np.array(lengths, np.int32))
        logits = np.array([logits_after(request.prompt + request.output) for request in requests], np.float32)
        answers = [one_rank.apply(torch.from_numpy(logits.copy()), context) for one_rank in self._processors]
        self._finish(requests, logits, answers)
