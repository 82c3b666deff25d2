"""What llama-cpp-python's server does by default isn't mistaken for other faults."""

from dataclasses import replace

import pytest

from oruel.types import ChatRequest
from tests.verify.asking import verdict_of
from tests.verify.faults_sampling import RepetitionUnderAnotherName, TokensNeedTopLogprobs
from tests.verify.toy_server import ToyServer

pytestmark = pytest.mark.anyio


class OneChoice(ToyServer):
    """n is accepted and ignored."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return replace(request, n=1)


TOKEN_CHECKS = ("usage.completion", "stop.usage", "defaults.top_k", "logit_bias", "frequency_penalty")


@pytest.mark.parametrize("check", TOKEN_CHECKS)
async def test_tokens_are_asked_for_in_the_way_that_gives_them(check: str) -> None:
    verdict = await verdict_of(check, TokensNeedTopLogprobs())
    assert (verdict.outcome, verdict.weak) == ("honoured", False)


async def test_a_penalty_that_acts_by_default_is_no_fault_of_another_one() -> None:
    for check in ("frequency_penalty", "frequency_penalty.window", "presence_penalty"):
        assert (await verdict_of(check, RepetitionUnderAnotherName())).outcome == "honoured"
    found = await verdict_of("defaults.penalties", RepetitionUnderAnotherName())
    assert found.how == "a repetition penalty of 1.2 acts"


async def test_the_choices_that_come_finish_once_where_n_is_ignored() -> None:
    assert (await verdict_of("stream.finish", OneChoice())).outcome == "honoured"
    assert (await verdict_of("n.stream", OneChoice())).outcome == "ignored"
