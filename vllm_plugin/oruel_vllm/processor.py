"""What vLLM loads: a processor for each of its two interfaces. Everything else is apart from them.

One entry point serves both model runners, so the class that it names has to be of V2's kind, which V2 checks, and to
return a processor of V1's kind when V1 calls it.
"""

from typing import Any

import torch
from vllm.v1.sample.logits_processor.interface import BatchUpdate, LogitsProcessor, MoveDirectionality
from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsProcessor as LogitsProcessorV2

from oruel.engine.vllm.wire import EXTRA_ARG
from oruel_vllm.batch_rows import BatchEntry, BatchRows, Move
from oruel_vllm.describe import describe_engine
from oruel_vllm.params_check import check_params
from oruel_vllm.plugin import Plugin
from oruel_vllm.row import Row
from oruel_vllm.step import PlacedRow, choose_tokens, sampler_for
from oruel_vllm.tokenizer_folder import tokenizer_folder


class V1Processor(LogitsProcessor):  # type: ignore[misc]  # vLLM has no types here
    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        self._plugin = start_plugin(vllm_config, "v1")
        self._rows = BatchRows()
        self._sampler = sampler_for(device)

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        check_params(sampling_params)

    def is_argmax_invariant(self) -> bool:
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        if batch_update is None:
            return
        self._rows.remove(batch_update.removed)
        for index, params, _, output in batch_update.added:
            row = self._plugin.row(params.extra_args, output)
            self._rows.add(index, BatchEntry(row, output) if row else None)
        self._rows.move(
            Move(source, target, direction == MoveDirectionality.SWAP)
            for source, target, direction in batch_update.moved
        )

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        if self._rows.entries:
            choose_tokens(
                self._sampler,
                logits,
                [PlacedRow(index, entry.row, len(entry.output)) for index, entry in sorted(self._rows.entries.items())],
            )
        return logits


class OruelProcessor(LogitsProcessorV2):  # type: ignore[misc]  # vLLM has no types here
    """V2 keeps rows in slots. `states` are vLLM's: what it knows of each slot."""

    def __new__(cls, vllm_config: Any, place: Any, is_pin_memory: bool | None = None) -> Any:
        """V1 passes a device and is_pin_memory, V2 its states of the slots."""
        return V1Processor(vllm_config, place, is_pin_memory) if is_pin_memory is not None else super().__new__(cls)

    def __init__(self, vllm_config: Any, states: Any) -> None:
        self._plugin = start_plugin(vllm_config, "v2")
        self._states = states
        self._params: dict[int, Any] = {}
        self._rows: dict[int, Row] = {}
        self._sampler = sampler_for(states.device)

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        check_params(sampling_params)

    def add_request(self, req_idx: int, sampling_params: Any) -> bool:
        """Returns whether the request is Oru'el's. A preempted one comes back like this, too."""
        if before := self._rows.pop(req_idx, None):
            before.close()
        self._params.pop(req_idx, None)
        is_ours = bool((sampling_params.extra_args or {}).get(EXTRA_ARG))
        if is_ours:
            self._params[req_idx] = sampling_params
        return is_ours

    def apply_staged_writes(self) -> None:
        """Called before the model computes, once vLLM knows the tokens that a new request had before a preemption."""
        for slot, params in self._params.items():
            if row := self._plugin.row(params.extra_args, self._output(slot)):
                self._rows[slot] = row
        self._params.clear()

    def apply(self, logits: torch.Tensor, ctx: Any) -> torch.Tensor:
        placed: list[PlacedRow] = []
        for index, (slot, length) in enumerate(zip(ctx.idx_mapping_np, ctx.seq_lens_upper_bound_np, strict=False)):
            # The logits of a part of a prompt choose nothing.
            if length >= self._states.prefill_len.np[slot]:
                position = int(length - self._states.prompt_len.np[slot])
                if row := self._rows.get(int(slot)):
                    placed.append(PlacedRow(index, row, position))
        if placed:
            choose_tokens(self._sampler, logits, placed)
        return logits

    def _output(self, slot: int) -> list[int]:
        start, end = int(self._states.prompt_len.np[slot]), int(self._states.prefill_len.np[slot])
        output: list[int] = self._states.all_token_ids.gpu[slot, start:end].tolist() if end > start else []
        return output


def start_plugin(config: Any, runner: str) -> Plugin:
    model = config.model_config
    return Plugin(describe_engine(config, runner), tokenizer_folder(str(model.tokenizer), model.tokenizer_revision))
