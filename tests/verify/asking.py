"""One check of a toy endpoint."""

from oruel.verify.checks import CHECKS
from oruel.verify.profile import ORUEL, Profile
from oruel.verify.runner import run_checks
from oruel.verify.verdict import Verdict
from tests.verify.in_process import endpoint_of
from tests.verify.toy_server import ToyServer


async def verdict_of(name: str, server: ToyServer, profile: Profile = ORUEL) -> Verdict:
    check = next(check for check in CHECKS if check.name == name)
    async with endpoint_of(server) as endpoint:
        report = await run_checks(endpoint, [check], profile, seed=1)
    return report.results[0].verdict
