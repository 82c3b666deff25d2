"""How the worker derives its limits from Start: sequences, window and tokens per step. No model."""

import time
from typing import Any

import pytest

from oruel.engine.protocol import Start
from oruel.engine.worker import choose_limits, choose_places, choose_window, describe_kernels, tokens_per_second
from oruel.errors import ConfigError


def test_a_slow_model_computes_fewer_tokens_per_step() -> None:
    slow, fast = choose_limits(4, 12.0, shares=True), choose_limits(4, 50_000.0, shares=True)
    assert (slow.prefill_tokens, slow.prefill_tokens_during_decode) == (24, 16)
    assert (fast.prefill_tokens, fast.prefill_tokens_during_decode) == (480, 480)
    medium = choose_limits(4, 2_000.0, shares=True)
    assert (medium.prefill_tokens, medium.prefill_tokens_during_decode) == (480, 120)
    assert choose_limits(4, 0.1, shares=True).prefill_tokens == 16


@pytest.mark.parametrize(
    ("pool", "parallel", "window", "places"),
    [
        (None, None, 4096, 8),
        (None, None, 512, 16),
        (None, None, 65536, 1),
        (None, 40, 4096, 40),
        (16384, None, 4096, 4),
        (16384, 3, 4096, 3),
        (16384, 30, 4096, 4),
    ],
)
def test_the_parallel_sequences_are_bounded_by_request_and_pool(
    pool: int | None, parallel: int | None, window: int, places: int
) -> None:
    assert choose_places(Start("x", pool=pool, parallel=parallel), window) == places


def test_the_default_window_is_the_training_context_within_bounds() -> None:
    assert choose_window(Start("x"), 4096) == 4096
    assert choose_window(Start("x"), 131072) == 8192
    assert choose_window(Start("x", pool=1024), 4096) == 1024
    assert choose_window(Start("x", context=16384), 131072) == 16384
    with pytest.raises(ConfigError, match="trained for 4096"):
        choose_window(Start("x", context=4097), 4096)


def test_only_invariant_kernels_are_described_as_batch_invariant() -> None:
    assert describe_kernels(invariant=True).endswith(" batch-invariant")
    assert describe_kernels(invariant=False).endswith(" batch-dependent")


class Device:
    """Returns from `decode` at once, and computes until `wait` returns."""

    def decode(self, *batch: object) -> None:
        pass

    def wait(self) -> None:
        time.sleep(0.05)

    def forget(self, sequence: int) -> None:
        pass


def test_the_measured_speed_includes_asynchronous_computation() -> None:
    device: Any = Device()
    assert tokens_per_second(device) < 32 / 0.05
