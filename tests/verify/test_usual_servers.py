"""What llama-cpp-python's server and vLLM do by default isn't mistaken for other faults."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from oruel.types import ChatRequest
from oruel.verify.probe import most_probable
from oruel.verify.reply import TokenInfo
from tests.verify.asking import verdict_of
from tests.verify.faults_sampling import OtherDefaultTemperature, RepetitionUnderAnotherName, TokensNeedTopLogprobs
from tests.verify.toy_choice import Json
from tests.verify.toy_model import Prompt
from tests.verify.toy_server import ToyServer

pytestmark = pytest.mark.anyio


class OneChoice(ToyServer):
    """n is accepted and ignored."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return replace(request, n=1)


class ChosenIsListed(OtherDefaultTemperature):
    """vLLM: the chosen token comes first, and in place of the last entry if it isn't among the others."""

    def logprobs(self, request: ChatRequest, prompt: Prompt, output: Sequence[int], token: int) -> list[Json]:
        return [one | {"top_logprobs": with_chosen(one)} for one in super().logprobs(request, prompt, output, token)]


def with_chosen(one: Json) -> list[Json]:
    entries = one["top_logprobs"]
    chosen = {name: one[name] for name in ("token", "logprob", "bytes")}
    return [chosen, *(entry for entry in entries if entry != chosen)][: len(entries)]


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
    assert (await verdict_of("repetition_penalty", RepetitionUnderAnotherName())).outcome == "ignored"


@pytest.mark.parametrize("salt", range(1, 7))
async def test_a_chosen_token_that_is_listed_with_the_most_probable_ones_makes_no_temperature_look_higher(
    salt: int,
) -> None:
    verdict = await verdict_of("defaults.temperature", ChosenIsListed(1, salt))
    assert verdict.how == "temperature 1 acts"


@pytest.mark.parametrize("check", ["temperature", "temperature.small", "temperature.above_one", "defaults.top_k"])
@pytest.mark.parametrize("salt", range(1, 4))
async def test_a_chosen_token_that_is_listed_with_the_most_probable_ones_is_no_fault(check: str, salt: int) -> None:
    assert not (await verdict_of(check, ChosenIsListed(1, salt))).outcome.is_fault


def test_a_rare_token_that_was_chosen_is_not_taken_for_one_of_the_most_probable() -> None:
    others = (("a", -0.1), ("b", -2.5))
    assert most_probable(TokenInfo("rare", -9.0, (("rare", -9.0), *others))) == list(others)
    assert most_probable(TokenInfo("a", -0.1, others)) == list(others)


async def test_the_choices_that_come_finish_once_where_n_is_ignored() -> None:
    assert (await verdict_of("stream.finish", OneChoice())).outcome == "honoured"
    assert (await verdict_of("n.stream", OneChoice())).outcome == "ignored"
