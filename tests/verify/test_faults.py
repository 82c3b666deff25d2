"""Every planted defect is found by the check that it is meant for, and named."""

from random import Random

import pytest

from oruel.verify.check import Check
from oruel.verify.checks import CHECKS
from oruel.verify.probe import Probe
from oruel.verify.profile import ORUEL
from oruel.verify.runner import FALSE_ALARMS, run_check
from oruel.verify.survey import survey
from oruel.verify.verdict import Outcome, Verdict
from tests.verify.faults import FAULTS
from tests.verify.in_process import endpoint_of
from tests.verify.planted import Fault
from tests.verify.toy_server import ToyServer

pytestmark = pytest.mark.anyio

SEED = 1
BY_NAME = {check.name: check for check in CHECKS}


async def judge(server: ToyServer, check: Check) -> Verdict:
    """As in a whole run, in which each check has a small share of the false-alarm rate."""
    async with endpoint_of(server) as endpoint:
        facts = await survey(endpoint)
        random = Random(f"{SEED} {check.name}")
        return await run_check(check, Probe(endpoint, facts, ORUEL, FALSE_ALARMS / len(CHECKS), random))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_planted_defect_is_found_and_named(fault: Fault) -> None:
    verdict = await judge(fault.server(SEED), BY_NAME[fault.check])
    assert verdict.outcome not in (Outcome.HONOURED, Outcome.CANT_TELL), f"{verdict.outcome}: {verdict.how}"
    assert fault.verdict in f"{verdict.outcome}: {verdict.how}"


def test_at_least_30_defects_are_planted_each_once() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 30
