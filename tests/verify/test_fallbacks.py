"""What checks of sampling still find where an endpoint offers less: no log-probabilities, no logit_bias, no /tokenize,
or log-probabilities after the parameters. None of them makes a right endpoint look wrong.
"""

import pytest

from oruel.api.chat.body import ChatCall
from oruel.errors import NotFound, UnknownParameter
from oruel.verify.checks import CHECKS
from oruel.verify.reply import Json
from oruel.verify.verdict import Outcome
from tests.verify import faults_penalties, faults_sampling
from tests.verify.asking import verdict_of
from tests.verify.toy_server import Message, Receive, Send, ToyServer

pytestmark = pytest.mark.anyio


class WithoutLogprobs(ToyServer):
    def read(self, body: Json) -> ChatCall:
        return super().read({name: value for name, value in body.items() if "logprobs" not in name})


class WithoutBias(ToyServer):
    def read(self, body: Json) -> ChatCall:
        if "logit_bias" in body:
            raise UnknownParameter("logit_bias is unknown.", param="logit_bias")
        return super().read(body)


class WithoutTokenize(ToyServer):
    async def route(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/tokenize"):
            raise NotFound("There is no such endpoint.")
        await super().route(scope, receive, send)


LACKING = (WithoutLogprobs, WithoutBias, WithoutTokenize, faults_sampling.LogprobsAfterTemperature)
SAMPLING = (
    *("temperature", "temperature.zero", "top_k", "top_p", "min_p", "logit_bias"),
    *("frequency_penalty", "frequency_penalty.prompt", "frequency_penalty.window", "presence_penalty"),
    *("presence_penalty.prompt", "repetition_penalty", "repetition_penalty.prompt", "repetition_penalty.order"),
    *("seed", "seed.under_load", "seed.differs", "seed.unset", "seed.choices", "logprobs.sum", "top_logprobs"),
    *(check.name for check in CHECKS if check.parameter == "defaults"),
)


def both(lacking: type[ToyServer], fault: type[ToyServer]) -> ToyServer:
    server: ToyServer = type("Both", (lacking, fault), {})(1)
    return server


@pytest.mark.parametrize("name", ["frequency_penalty", "presence_penalty"])
async def test_choices_that_a_hidden_penalty_changes_are_no_fault_of_another_one(name: str) -> None:
    verdict = await verdict_of(name, both(WithoutBias, faults_sampling.RepetitionUnderAnotherName))
    assert (verdict.outcome, verdict.how) == (
        Outcome.CANT_TELL,
        "without it too, tokens are chosen that aren't the most probable",
    )


@pytest.mark.parametrize("lacking", LACKING)
@pytest.mark.parametrize("name", SAMPLING)
async def test_a_right_endpoint_that_offers_less_is_never_called_wrong(lacking: type[ToyServer], name: str) -> None:
    verdict = await verdict_of(name, lacking(1))
    expected = {Outcome.HONOURED, Outcome.CANT_TELL}
    if name == "logit_bias":
        expected.add(Outcome.REFUSED)
    assert verdict.outcome in expected, verdict.how


@pytest.mark.parametrize("name", ["temperature.zero", "temperature", "top_k", "top_p", "min_p"])
async def test_without_log_probabilities_a_verdict_says_that_it_is_weak(name: str) -> None:
    verdict = await verdict_of(name, WithoutLogprobs(1))
    assert (verdict.outcome, verdict.weak) == (Outcome.HONOURED, True)


@pytest.mark.parametrize("name", ["frequency_penalty", "presence_penalty"])
async def test_without_token_ids_additive_penalties_are_still_decided(name: str) -> None:
    verdict = await verdict_of(name, WithoutTokenize(1))
    assert verdict.outcome is Outcome.HONOURED, verdict.how


@pytest.mark.parametrize("lacking", [WithoutBias, WithoutTokenize])
@pytest.mark.parametrize("name", ["frequency_penalty", "presence_penalty"])
async def test_whether_the_prompt_counts_is_left_to_its_own_check(lacking: type[ToyServer], name: str) -> None:
    verdict = await verdict_of(name, both(lacking, faults_penalties.PromptCounted))
    assert not verdict.outcome.is_fault, verdict.how


@pytest.mark.parametrize(
    ("lacking", "fault", "name", "says"),
    [
        (WithoutLogprobs, faults_sampling.TopKDropped, "top_k", "ignored"),
        (WithoutLogprobs, faults_sampling.TopPDropped, "top_p", "ignored"),
        (WithoutLogprobs, faults_sampling.MinPDropped, "min_p", "ignored"),
        (WithoutLogprobs, faults_sampling.ZeroIsUnset, "temperature.zero", "ignored"),
        (WithoutLogprobs, faults_sampling.SeedIgnored, "seed", "ignored"),
        (WithoutLogprobs, faults_penalties.FrequencyIgnored, "frequency_penalty", "ignored"),
        (WithoutLogprobs, faults_penalties.FrequencyAsPresence, "frequency_penalty", "presence"),
        (WithoutLogprobs, faults_penalties.PresenceAsFrequency, "presence_penalty", "occurrences"),
        (WithoutLogprobs, faults_penalties.PresenceFlipped, "presence_penalty", "sign"),
        (WithoutLogprobs, faults_penalties.PromptCounted, "repetition_penalty.prompt", "the prompt is counted"),
        (WithoutLogprobs, faults_penalties.RepetitionIgnored, "repetition_penalty", "ignored"),
        (WithoutLogprobs, faults_penalties.RepetitionTwice, "repetition_penalty", "twice"),
        (WithoutLogprobs, faults_sampling.HiddenRepetition, "defaults.penalties", "a repetition penalty of 1.1 acts"),
        (WithoutBias, faults_penalties.FrequencyIgnored, "frequency_penalty", "ignored"),
        (WithoutBias, faults_penalties.FrequencyAsPresence, "frequency_penalty", "presence"),
        (WithoutBias, faults_penalties.FrequencyFlipped, "frequency_penalty", "the sign is reversed"),
        (WithoutBias, faults_penalties.FrequencyDiluted, "frequency_penalty", "divided by the length"),
        (WithoutBias, faults_penalties.PresenceAsFrequency, "presence_penalty", "occurrences"),
        (WithoutBias, faults_penalties.PresenceFlipped, "presence_penalty", "the sign is reversed"),
        (WithoutBias, faults_penalties.RepetitionDividesNegative, "repetition_penalty", "repeats are rewarded"),
        (WithoutLogprobs, faults_penalties.FrequencyDiluted, "frequency_penalty", "divided by the length"),
        (WithoutTokenize, faults_penalties.FrequencyAsPresence, "frequency_penalty", "presence only"),
        (WithoutTokenize, faults_penalties.FrequencyDiluted, "frequency_penalty", "divided by the length"),
        (WithoutTokenize, faults_penalties.FrequencyIgnored, "frequency_penalty", "ignored"),
        (WithoutTokenize, faults_penalties.PresenceAsFrequency, "presence_penalty", "occurrences"),
        (WithoutTokenize, faults_penalties.PresenceFlipped, "presence_penalty", "the sign is reversed"),
        (WithoutTokenize, faults_penalties.RepetitionTwice, "repetition_penalty", "twice"),
        (WithoutTokenize, faults_sampling.BiasIgnored, "logit_bias", "ignored"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
async def test_a_defect_is_found_all_the_same(
    lacking: type[ToyServer], fault: type[ToyServer], name: str, says: str
) -> None:
    verdict = await verdict_of(name, both(lacking, fault))
    assert verdict.outcome.is_fault, f"{verdict.outcome}: {verdict.how}"
    assert says in f"{verdict.outcome}: {verdict.how}"
