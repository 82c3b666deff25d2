"""What the engine process makes of its settings: places, window, tokens a step. No model."""

import time
from typing import Any

import pytest

from oruel.engine.protocol import Start
from oruel.engine.worker import choose_limits, choose_places, choose_window, kernels, tokens_per_second
from oruel.errors import ConfigError


def test_a_slow_model_computes_fewer_tokens_a_step_so_that_no_step_looks_like_a_hang() -> None:
    slow, fast = choose_limits(4, 12.0, shares=True), choose_limits(4, 50_000.0, shares=True)
    assert (slow.prefill_tokens, slow.prefill_tokens_beside_decode) == (24, 16)
    assert (fast.prefill_tokens, fast.prefill_tokens_beside_decode) == (480, 480)
    medium = choose_limits(4, 2_000.0, shares=True)
    assert (medium.prefill_tokens, medium.prefill_tokens_beside_decode) == (480, 120)
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
def test_as_many_sequences_run_at_once_as_were_asked_for_and_as_the_pool_has_windows(
    pool: int | None, parallel: int | None, window: int, places: int
) -> None:
    assert choose_places(Start("x", pool=pool, parallel=parallel), window) == places


def test_the_window_is_what_the_model_was_trained_for_within_bounds() -> None:
    assert choose_window(Start("x"), 4096) == 4096
    assert choose_window(Start("x"), 131072) == 8192
    assert choose_window(Start("x", pool=1024), 4096) == 1024
    assert choose_window(Start("x", context=16384), 131072) == 16384
    with pytest.raises(ConfigError, match="trained for 4096"):
        choose_window(Start("x", context=4097), 4096)


def test_only_kernels_that_are_shown_to_be_invariant_are_called_so() -> None:
    assert kernels(invariant=True).endswith(" batch-invariant")
    assert kernels(invariant=False).endswith(" batch-dependent")


class Device:
    """Returns from `decode` at once, and computes until `wait` returns."""

    def decode(self, *batch: object) -> None:
        pass

    def wait(self) -> None:
        time.sleep(0.05)

    def forget(self, sequence: int) -> None:
        pass


def test_the_speed_of_a_device_that_computes_by_itself_counts_until_it_is_done() -> None:
    device: Any = Device()
    assert tokens_per_second(device) < 32 / 0.05
