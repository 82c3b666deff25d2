"""What the page shows for a token under other settings is what the server would do, compared with the slow reference.

The traces are the engine's own, of random rows of logits and settings.
"""

import json
import math
import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from oruel.api.chat.trace import TraceEntry, trace_entry
from oruel.sampling.traced_sampler import TracedSampler
from oruel.types import LogitHistogram, SamplingParams, TokenText, TracedToken
from tests.sampling.reference import Decision, decide
from tests.sampling.test_mask import Fixed
from tests.sampling.test_reference import Row

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node isn't installed, which runs the page's code")

PAGE = Path(__file__).parent / "unit" / "redistribute.js"
SETTINGS = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
)
CASES = 300
MAX_COVERED = 50  # the most candidates that a trace lists


@dataclass(frozen=True)
class Case:
    """A token of a request with the settings `before`, to be shown under the settings `now`."""

    row: Row
    allowed: NDArray[np.bool_] | None
    output: list[int]
    before: SamplingParams
    now: SamplingParams
    entry: TraceEntry

    @property
    def decision(self) -> Decision:
        return self.decide(self.row)

    def decide(self, row: Row) -> Decision:
        masked = row if self.allowed is None else np.where(self.allowed, row, -np.inf)
        return decide(masked.tolist(), self.now, 0, self.output)

    @property
    def allowed_ids(self) -> set[int]:
        return set(range(len(self.row)) if self.allowed is None else self.allowed.nonzero()[0].tolist())

    @property
    def listed(self) -> list[int]:
        return [candidate.id for candidate in self.entry.candidates]


def random_row(generator: np.random.Generator, size: int) -> Row:
    shape = generator.choice(["normal", "wide", "peaked", "natural"])
    row = generator.normal(0, {"wide": 8, "peaked": 2}.get(shape, 3), size)
    if shape == "peaked":
        row[generator.integers(0, size, 8)] += 10
    elif shape == "natural":  # Zipf's law
        row = generator.permutation(-generator.uniform(0.9, 3) * np.log(np.arange(1, size + 1)) + row / 6)
    return row.astype(np.float32)


def random_settings(generator: np.random.Generator, size: int) -> dict[str, Any]:
    def one_of(*values: float) -> Any:
        return values[generator.integers(len(values))]

    return {
        "temperature": one_of(0, 0.2, 0.5, 0.7, 1, 1.3, 1.6, 2),
        "top_k": one_of(0, 0, 0, 1, 5, min(40, size - 1), min(100, size - 1)),
        "top_p": one_of(1, 1, 0.95, 0.9, 0.5, 0),
        "min_p": one_of(0, 0, 0.02, 0.1),
        "frequency_penalty": one_of(0, 0.3, -0.3, 1),
        "presence_penalty": one_of(0, 0.5),
        "repetition_penalty": one_of(1, 1.1, 1.3),
    }


def random_case(generator: np.random.Generator, size: int, top: int) -> Case:
    """The tokens of the output are among the model's leading ones, since a trace doesn't say the counts of others."""
    row = random_row(generator, size)
    if size <= MAX_COVERED and generator.random() < 0.3:
        row = np.round(row)  # ties
    allowed = generator.random(size) < 0.4 if generator.random() < 0.2 else None
    if allowed is not None:
        allowed[generator.integers(size)] = True
    biased = generator.integers(0, size, int(generator.choice([0, 0, 2]))).tolist()
    bias = {token: float(generator.uniform(-3, 3)) for token in biased}
    seed = int(generator.integers(0, 2**40))
    before = SamplingParams(seed=seed, logit_bias=bias, **random_settings(generator, size))
    now = replace(before, **random_settings(generator, size))
    leading = np.argsort(-row, kind="stable")[: top // 2]
    output = generator.choice(leading, int(generator.integers(0, 30))).tolist()
    return Case(row, allowed, output, before, now, entry_of(row, allowed, before, output, top))


def entry_of(
    row: Row, allowed: NDArray[np.bool_] | None, params: SamplingParams, output: list[int], top: int
) -> TraceEntry:
    sampler = TracedSampler(params, 0, len(row), None if allowed is None else Fixed(allowed), top)
    for token in output:
        sampler.accept(token)
    token = sampler.sample(row)
    trace = sampler.trace(token, row)
    texts = {candidate.id: TokenText(f"<{candidate.id}>", b"token") for candidate in trace.candidates}
    return trace_entry(TracedToken(token, trace, texts))


def random_cases(covers: bool) -> Iterator[Case]:
    """Cases whose decision doesn't depend on the seventh decimal."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    generator = np.random.default_rng(seed)
    while True:
        size = int(np.exp(generator.uniform(math.log(20), math.log(MAX_COVERED if covers else 5_000))))
        case = random_case(generator, size, MAX_COVERED if covers else int(generator.choice([10, 20, 50])))
        # Of the bias of an unlisted token, as of its count, a trace has only what it did to their sum.
        if case.decision.firm and set(case.before.logit_bias) <= set(case.listed):
            yield case


def shown_by_page(cases: list[Case]) -> list[dict[str, Any]]:
    questions = [(msgspec.to_builtins(case.entry), settings(case.now), settings(case.before)) for case in cases]
    run = subprocess.run(["node", str(PAGE)], input=json.dumps(questions), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    answers: list[dict[str, Any]] = json.loads(run.stdout)
    return answers


def settings(params: SamplingParams) -> dict[str, float]:
    return {name: getattr(params, name) for name in SETTINGS}


def shown_probabilities(shown: dict[str, Any]) -> dict[int, float]:
    return {one["id"]: one["after"][-1] if one["after"] else one["probability"] for one in shown["candidates"]}


def largest_difference(shown: dict[int, float], decision: Decision) -> float:
    return max(abs(probability - decision.probability.get(id, 0.0)) for id, probability in shown.items())


def test_the_page_is_exact_where_a_trace_covers_the_vocabulary() -> None:
    cases = [case for case, _ in zip(random_cases(covers=True), range(CASES), strict=False)]
    for case, shown in zip(cases, shown_by_page(cases), strict=True):
        decision = case.decision
        assert largest_difference(shown_probabilities(shown), decision) < 1e-9
        assert shown["survivors"]["count"] == len(decision.probability.keys() & case.allowed_ids)
        assert shown["entropy"]["after"] == pytest.approx(entropy(decision), abs=1e-9)
        if case.entry.draw is not None or len(decision.probability) == 1:
            assert shown["chosenId"] in {None, *decision.acceptable}
            assert shown["chosenId"] is not None or len(decision.acceptable) > 1


def test_the_page_shows_the_steps_that_a_trace_of_these_settings_would_have() -> None:
    cases = [case for case, _ in zip(random_cases(covers=True), range(CASES), strict=False)]
    for case, shown in zip(cases, shown_by_page(cases), strict=True):
        traced = entry_of(case.row, case.allowed, case.now, case.output, MAX_COVERED)
        assert shown["steps"] == traced.steps
        after = {candidate.id: candidate for candidate in traced.candidates}
        for candidate in shown["candidates"]:
            assert candidate["after"] == pytest.approx(after[candidate["id"]].after, rel=1e-9, abs=1e-300)
            if candidate["id"] != traced.id:
                assert candidate["removedBy"] == after[candidate["id"]].removed_by


def test_the_page_is_within_a_thousandth_where_it_has_a_histogram_of_the_other_tokens() -> None:
    cases = [case for case, _ in zip(random_cases(covers=False), range(CASES), strict=False)]
    undecided = 0
    beyond = []
    for case, shown in zip(cases, shown_by_page(cases), strict=True):
        decision = case.decision
        assert shown["chosenId"] in {None, *decision.acceptable}
        if not is_told_by_trace(case):
            undecided += 1
        elif (difference := largest_difference(shown_probabilities(shown), decision)) >= 1e-3:
            beyond.append(difference)
    print(f"{undecided} of {CASES} cases depend on more than their trace; beyond a thousandth: {beyond}")
    assert undecided < CASES / 8
    # is_told_by_trace samples, so it misses about one case in 8,000 where an unlisted token is just kept by a cut.
    assert len(beyond) <= 2


def is_told_by_trace(case: Case) -> bool:
    """Whether rows that the histogram can't tell apart agree on the result. They may not, if a cut falls among unlisted
    tokens, or if these are so many that their order within a bin matters.
    """
    rest = case.entry.rest
    if rest is None:
        return True
    same = [case.decide(row) for row in rows_with_same_histogram(case, rest)]
    decision = case.decision
    return all(
        abs(decision.probability.get(id, 0.0) - other.probability.get(id, 0.0)) < 5e-4
        for other in same
        for id in case.listed
    )


def rows_with_same_histogram(case: Case, rest: LogitHistogram) -> Iterator[Row]:
    """The tokens of each bin have other logits within the bin, in the last row all the same, but keep their mass."""
    width = (rest.high - rest.low) / len(rest.counts)
    is_unlisted = np.ones(len(case.row), np.bool_) if case.allowed is None else case.allowed.copy()
    is_unlisted[case.listed] = False
    logits = case.row[is_unlisted].astype(np.float64) - rest.high
    bins = np.clip((logits + rest.high - rest.low) / (width or 1.0), 0, len(rest.counts) - 1).astype(np.intp)
    mass = np.bincount(bins, np.exp(logits))
    generator = np.random.default_rng(len(case.row))
    for spread in (width, width, width, 0.0):
        moved = spread * generator.random(len(logits))
        scale = mass[bins] / np.bincount(bins, np.exp(moved))[bins]
        row = case.row.astype(np.float64)
        row[is_unlisted] = rest.high + moved + np.log(np.maximum(scale, 1e-300))
        yield row.astype(np.float32)


def entropy(decision: Decision) -> float:
    return -math.fsum(p * math.log2(p) for p in decision.probability.values() if p > 0)
