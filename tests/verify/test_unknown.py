"""Unknown fields: what counts as refused by name, and what as dropped."""

from dataclasses import replace

import pytest

from oruel.verify.checks.unknown import judge
from oruel.verify.probe import Probe
from oruel.verify.profile import ORUEL
from oruel.verify.reply import Reply
from oruel.verify.verdict import Outcome

NAMED = {"error": {"message": "top_q is not a known field.", "param": "top_q"}}


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (400, NAMED, Outcome.HONOURED),
        (422, NAMED, Outcome.HONOURED),
        (400, {"error": {"message": "Bad request."}}, Outcome.DIFFERS),
        (500, NAMED, Outcome.DIFFERS),
        (429, NAMED, Outcome.CANT_TELL),
    ],
)
@pytest.mark.anyio
async def test_a_refusal_must_name_the_field(status: int, body: object, outcome: Outcome, probe: Probe) -> None:
    assert judge(probe, "top_q", Reply({}, status, {}, body), accepted=False).outcome is outcome


@pytest.mark.anyio
async def test_a_field_that_is_dropped_is_ignored_also_if_a_header_says_so(probe: Probe) -> None:
    silent = judge(probe, "top_q", Reply({}, 200, {}, {}), accepted=True)
    told = judge(probe, "top_q", Reply({}, 200, {"x-oruel-ignored": "top_q"}, {}), accepted=True)
    assert (silent.outcome, silent.how) == (Outcome.IGNORED, "dropped in silence")
    assert (told.outcome, told.how) == (Outcome.IGNORED, "dropped, which a header reports")


@pytest.mark.anyio
async def test_a_profile_may_allow_unknown_fields(probe: Probe) -> None:
    probe.profile = replace(ORUEL, refuses_unknown=False)
    assert judge(probe, "top_q", Reply({}, 200, {}, {}), accepted=True).outcome is Outcome.HONOURED
