"""Every planted defect is found by the check that it is meant for, and named."""

from collections.abc import Sequence

import pytest

from oruel.verify.check import Check
from oruel.verify.checks import CHECKS
from oruel.verify.profile import ORUEL
from oruel.verify.runner import Report, run_checks
from tests.verify.faults import FAULTS
from tests.verify.in_process import endpoint_of
from tests.verify.planted import Fault
from tests.verify.toy_server import ToyServer

pytestmark = pytest.mark.anyio

SEED = 1
BY_NAME = {check.name: check for check in CHECKS}


async def verify(server: ToyServer, checks: Sequence[Check], seed: int = SEED) -> Report:
    async with endpoint_of(server) as endpoint:
        return await run_checks(endpoint, checks, ORUEL, seed)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_planted_defect_is_found_and_named(fault: Fault, request: pytest.FixtureRequest) -> None:
    if fault.misnamed:
        request.applymarker(pytest.mark.xfail(strict=True, reason=fault.misnamed))
    report = await verify(fault.server(SEED), [BY_NAME[fault.check]])
    verdict = report.results[0].verdict
    assert verdict.outcome not in ("honoured", "can't tell"), f"{verdict.outcome}: {verdict.how}"
    assert fault.verdict in f"{verdict.outcome}: {verdict.how}"
