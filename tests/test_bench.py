"""The benchmark's statistics: the median of ratios, and its 90% confidence interval."""

import random
import statistics

from bench.pairs import excluded_ends, ratio
from bench.row import Row

TRIALS = 4000


def test_the_ratio_is_the_median_of_the_ratios_of_the_rounds() -> None:
    assert ratio([1, 10, 100], [2, 10, 50]).median == 1


def test_the_interval_contains_the_true_median_nine_times_in_ten() -> None:
    for rounds in (5, 7, 8, 12, 20):
        source = random.Random(rounds)
        contained = 0
        for _ in range(TRIALS):
            found = ratio([source.lognormvariate(0, 1) for _ in range(rounds)], [1.0] * rounds)
            contained += found.low <= 1 <= found.high
        assert contained / TRIALS > 0.89, f"{rounds} rounds"


def test_more_rounds_exclude_more_of_the_extremes() -> None:
    assert [excluded_ends(rounds) for rounds in (1, 4, 5, 7, 8, 11, 20)] == [0, 0, 0, 0, 1, 2, 5]


def test_a_target_is_missed_only_if_the_whole_interval_lies_below() -> None:
    times = [1.0, 1.0, 1.0, 1.0, 1.0]
    assert Row("first token", "ms", [2.0] * 5, times, target=1.0).is_missed
    assert not Row("first token", "ms", [2, 2, 2, 2, 0.9], times, target=1.0).is_missed
    assert not Row("speed", "tokens/s", [2.0] * 5, times, larger_is_better=True, target=1.0).is_missed
    assert statistics.median(Row("speed", "tokens/s", times, times).ours) == 1
