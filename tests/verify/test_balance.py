"""The balance reads off what the toy model's logits and the contract's order give."""

from random import Random
from typing import Any

import pytest

from oruel.verify.balance import PRECISION, PROMPT, Balance, find_rivals, find_successor, run_length
from oruel.verify.probe import Probe
from oruel.verify.profile import ORUEL
from oruel.verify.reply import Reply
from oruel.verify.survey import survey
from tests.verify.in_process import endpoint_of
from tests.verify.toy_server import ToyServer

pytestmark = pytest.mark.anyio

ROW = 6


async def probe_of(endpoint: Any) -> Probe:
    return Probe(endpoint, await survey(endpoint), ORUEL, alpha=1e-5, random=Random(1))


@pytest.mark.parametrize("seed", range(4))
async def test_additive_penalties_are_weighed_as_the_contract_defines_them(seed: int) -> None:
    print(f"seed {seed}")
    random = Random(seed)
    frequency, presence = random.uniform(0.5, 2), random.uniform(0.5, 2)
    async with endpoint_of(ToyServer(1)) as endpoint:
        probe = await probe_of(endpoint)
        rivals = await find_rivals(probe)
        assert rivals
        balance = Balance(probe, rivals)
        weight = await balance.weigh(ROW, frequency_penalty=frequency, presence_penalty=presence)
    count = weight.position
    assert weight.penalty == pytest.approx(frequency * count + presence * min(count, 1), abs=PRECISION)


@pytest.mark.parametrize("repetition", [1.5, 2.0, 3.0])
async def test_repetition_takes_its_share_of_the_bias(repetition: float) -> None:
    async with endpoint_of(ToyServer(1)) as endpoint:
        probe = await probe_of(endpoint)
        rivals = await find_rivals(probe)
        assert rivals
        pair = await find_successor(probe, rivals.weighed)
        assert pair
        large, small = [
            await Balance(probe, pair, bias=bias).weigh(2, repetition_penalty=repetition) for bias in (100, 60)
        ]
    assert large.position == small.position == 1
    assert large.gap - small.gap == pytest.approx(40 * (1 - 1 / repetition), abs=2 * PRECISION)


async def test_without_penalties_the_gap_is_the_models_own_lead() -> None:
    async with endpoint_of(ToyServer(1)) as endpoint:
        probe = await probe_of(endpoint)
        rivals = await find_rivals(probe)
        assert rivals
        base = await probe.base(PROMPT)
        weight = await Balance(probe, rivals).weigh(1)
    assert weight.penalty == pytest.approx(0, abs=PRECISION)
    assert rivals.weighed.text in base


async def test_a_gap_beyond_the_scale_is_clipped() -> None:
    async with endpoint_of(ToyServer(1)) as endpoint:
        probe = await probe_of(endpoint)
        rivals = await find_rivals(probe)
        assert rivals
        weight = await Balance(probe, rivals, bias=100).weigh(ROW * 4, frequency_penalty=2, repetition_penalty=3)
    assert weight.clipped
    assert weight.penalty is None


@pytest.mark.parametrize(("text", "length"), [("catcatdog", 2), ("dog", 0), ("", 0), ("catcat", 2), ("ca", 0)])
def test_a_row_is_counted_in_the_text_where_there_are_no_log_probabilities(text: str, length: int) -> None:
    reply = Reply({}, 200, {}, {"choices": [{"message": {"content": text}}]})
    assert run_length(reply, "cat") == length
