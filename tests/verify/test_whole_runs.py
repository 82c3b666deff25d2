"""Whole runs: the honest endpoint passes 20 of 20, a planted defect makes no check accuse anything else, and honest
models that think are accused of nothing. Two processes share them.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from unittest import mock

import pytest

from oruel.verify.checks import CHECKS
from oruel.verify.profile import ORUEL
from oruel.verify.runner import run_checks
from oruel.verify.verdict import Outcome
from tests.verify.faults import FAULTS
from tests.verify.in_process import endpoint_of
from tests.verify.toy_server import ToyServer
from tests.verify.toy_thinking import Thinking, ThinkingAside, ThinkingInSecret, ThinkingUntold

SEEDS = range(1, 21)
THINKERS = (Thinking, ThinkingAside, ThinkingInSecret, ThinkingUntold)
# Enough for the thoughts of the toy, which fills what is left with text.
ROOM = 100
NEED_TEXT = {"stop", "stop.across_tokens", "stream", "response_format.json_schema", "tools.stream", "seed"}
SERVERS: dict[str, type[ToyServer]] = {
    "ToyServer": ToyServer,
    **{thinker.__name__: thinker for thinker in THINKERS},
    **{fault.name: fault.server for fault in FAULTS},
}
# All the checks that may accuse an endpoint with the defect.
ACCUSERS = {
    "TopKDropped": {"top_k"},
    "PromptCounted": {"frequency_penalty.prompt", "presence_penalty.prompt", "repetition_penalty.prompt"},
    "SeedShared": {"seed.under_load"},
    "UsageOneMore": {"usage.completion", "usage.n", "stop.usage", "max_tokens.context_edge"},
    "StopLeaksInStreams": {"stop.stream"},
}

Found = dict[str, str]
"""What each check said that isn't honoured."""


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


def run(name: str, seed: int) -> Found:
    return asyncio.run(run_whole(SERVERS[name](seed), seed))


def run_thinker(name: str) -> Found:
    with mock.patch("oruel.verify.probe.THINKING", ROOM):
        return run(name, 1)


async def run_whole(server: ToyServer, seed: int) -> Found:
    async with endpoint_of(server) as endpoint:
        report = await run_checks(endpoint, CHECKS, ORUEL, seed)
    assert len(report.results) == len(CHECKS), report.ended
    verdicts = {result.check.name: result.verdict for result in report.results}
    others = {name: one for name, one in verdicts.items() if one.outcome is not Outcome.HONOURED}
    return {name: f"{one.outcome}: {one.how}" for name, one in others.items()}


def accusers_in(found: Found) -> set[str]:
    return {check for check, said in found.items() if not said.startswith(Outcome.CANT_TELL)}


@pytest.mark.slow
def test_the_honest_endpoint_passes_20_whole_runs_of_20(processes: ProcessPoolExecutor) -> None:
    runs = processes.map(run, ["ToyServer"] * len(SEEDS), SEEDS)
    assert {seed: found for seed, found in zip(SEEDS, runs, strict=True) if found} == {}


def test_only_the_checks_of_a_planted_defect_accuse_it(processes: ProcessPoolExecutor) -> None:
    runs = dict(zip(ACCUSERS, processes.map(run, ACCUSERS, [1] * len(ACCUSERS)), strict=True))
    assert {name: accusers_in(found) for name, found in runs.items()} == ACCUSERS, runs


def test_an_honest_thinker_is_accused_of_nothing(processes: ProcessPoolExecutor) -> None:
    names = [thinker.__name__ for thinker in THINKERS]
    for name, found in zip(names, processes.map(run_thinker, names), strict=True):
        assert accusers_in(found) == set(), (name, found)
        assert not NEED_TEXT & found.keys(), name
