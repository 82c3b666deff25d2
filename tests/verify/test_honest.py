"""The honest endpoint passes 20 whole runs of 20. Two processes share them."""

import asyncio
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from oruel.verify.checks import CHECKS
from oruel.verify.profile import ORUEL
from oruel.verify.runner import run_checks
from tests.verify.in_process import endpoint_of
from tests.verify.toy_server import ToyServer

SEEDS = range(1, 21)


async def run(seed: int) -> list[str]:
    """Everything that a whole run finds wrong, or can't tell."""
    async with endpoint_of(ToyServer(seed)) as endpoint:
        report = await run_checks(endpoint, CHECKS, ORUEL, seed)
    found = [(result.check.name, result.verdict) for result in report.results]
    assert len(found) == len(CHECKS), report.ended
    return [f"{name}: {verdict.outcome} {verdict.how}" for name, verdict in found if verdict.outcome != "honoured"]


def run_alone(seed: int) -> list[str]:
    return asyncio.run(run(seed))


def test_the_honest_endpoint_passes_20_whole_runs_of_20() -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        found = dict(zip(SEEDS, processes.map(run_alone, SEEDS), strict=True))
    assert {seed: faults for seed, faults in found.items() if faults} == {}
