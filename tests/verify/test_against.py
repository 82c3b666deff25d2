"""Comparisons of two endpoints: the same one is the same, a changed model or setting is found."""

import json
from collections.abc import Sequence
from random import Random
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from oruel.types import ChatRequest, SamplingParams
from oruel.verify.against import answers
from oruel.verify.against.comparison import CHECKS
from oruel.verify.against.prompts import PROMPTS
from oruel.verify.against.texts import Parting, parting
from oruel.verify.against.two_sample import TwoSampleTest
from oruel.verify.exit_status import ExitStatus, exit_status
from oruel.verify.probe import Other
from oruel.verify.profile import ORUEL
from oruel.verify.report.html_report import as_html
from oruel.verify.report.json_report import as_json
from oruel.verify.report.junit_report import as_junit
from oruel.verify.report.presentable import presentable
from oruel.verify.runner import Report, run_checks
from oruel.verify.verdict import Outcome, Verdict
from tests.sampling.reference import uniform
from tests.verify.in_process import endpoint_of
from tests.verify.planted import with_sampling
from tests.verify.toy_model import SIZE, Logits, Prompt
from tests.verify.toy_sampler import Distribution
from tests.verify.toy_server import ToyServer
from tests.verify.toy_thinking import ThinkingAside, ThinkingInSecret

pytestmark = pytest.mark.anyio

# What the quantisation of a model does to its logits.
ERRORS = np.random.default_rng(0).normal(0.0, 0.3, SIZE)


class Silent(ToyServer):
    """Reports no log-probabilities."""

    def logprobs(self, request: ChatRequest, prompt: Prompt, output: Sequence[int], token: int) -> list[Any]:
        return []


class OtherSeeds(ToyServer):
    """Another sampler: its seeds give other draws of the same distribution."""

    def uniform(self, seed: int, choice: int, position: int) -> float:
        return uniform(seed + 12345, choice, position)


class Perturbed(ToyServer):
    errors = ERRORS

    def distribution(self, logits: Logits, params: SamplingParams) -> Distribution:
        return super().distribution(logits + self.errors, params)

    def reported(self, request: ChatRequest, prompt: Prompt, output: Sequence[int]) -> Logits:
        logits = super().reported(request, prompt, output) + self.errors
        return np.asarray(logits - np.log(np.exp(logits).sum()))


class Noisy(ToyServer):
    """Computes in another order each time, as a GPU may."""

    def reported(self, request: ChatRequest, prompt: Prompt, output: Sequence[int]) -> Logits:
        errors = [self.entropy.gauss(0.0, 0.1) for _ in range(SIZE)]
        return np.asarray(super().reported(request, prompt, output) + errors)


class HiddenTopK(ToyServer):
    top_k = 2

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return with_sampling(request, top_k=request.sampling.top_k or self.top_k)


class Cooler(ToyServer):
    """Its default temperature is 0.3, not 0.7."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return with_sampling(request, temperature=0.3) if request.sampling.temperature == 0.7 else request


class SilentPerturbed(Silent, Perturbed):
    pass


class SilentOther(Silent, OtherSeeds):
    pass


class CoolerOther(Cooler, OtherSeeds):
    pass


class HiddenTopKOther(HiddenTopK, OtherSeeds):
    top_k = 1


class Unrepeatable(SilentOther):
    """Even its texts at temperature 0 change."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return with_sampling(
            request, temperature=request.sampling.temperature or 0.3, seed=self.entropy.getrandbits(63)
        )


class UnrepeatableOther(Unrepeatable, Perturbed):
    errors = 10 * ERRORS


@pytest.fixture
def fewer_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "LOOKS", (4, 16))


@pytest.fixture(autouse=True)
def short_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "DRAWN_TOKENS", 4)


async def compare(one: ToyServer, other: ToyServer, seed: int = 1) -> Report:
    async with endpoint_of(one) as ours, endpoint_of(other) as theirs:
        return await run_checks(ours, CHECKS, ORUEL, seed, other=Other(theirs))


async def verdicts(one: ToyServer, other: ToyServer, seed: int = 1) -> tuple[Verdict, Verdict]:
    report = await compare(one, other, seed)
    return report.results[0].verdict, report.results[1].verdict


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ThinkingAside, ThinkingAside),
        (ThinkingAside, ThinkingInSecret),
        (ThinkingInSecret, ThinkingInSecret),
        pytest.param(ThinkingInSecret, ThinkingAside, marks=pytest.mark.slow),
    ],
)
async def test_a_model_that_thinks_is_the_same_whether_or_not_its_thoughts_are_shown(
    one: type[ToyServer], other: type[ToyServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oruel.verify.against.pair.THINKING", 100)
    assert [verdict.outcome for verdict in await verdicts(one(1), other(2))] == ["same", "same"]


# All 20 are run with the slow tests.
@pytest.mark.parametrize("seed", [*range(5), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(5, 20))])
async def test_an_endpoint_is_the_same_as_itself(seed: int) -> None:
    model, defaults = await verdicts(ToyServer(seed), ToyServer(seed + 100), seed)
    assert (model.outcome, defaults.outcome) == (Outcome.SAME, Outcome.SAME), (model, defaults)
    assert model.figures["method"] == "log-probabilities"
    assert defaults.figures["method"] == "the same seeds"


@pytest.mark.usefixtures("fewer_answers")
@pytest.mark.parametrize("seed", range(2))
async def test_endpoints_with_different_samplers_are_the_same(seed: int) -> None:
    model, defaults = await verdicts(ToyServer(seed), SilentOther(seed), seed)
    assert (model.outcome, defaults.outcome) == (Outcome.SAME, Outcome.SAME), (model, defaults)
    assert model.figures["method"] == "texts at temperature 0"
    assert "two-sample" in str(defaults.figures["method"])


async def test_log_probabilities_show_a_changed_model() -> None:
    model, defaults = await verdicts(ToyServer(), Perturbed())
    assert model.outcome is Outcome.DIFFERS
    assert "log-probabilities" in model.how
    assert (defaults.outcome, defaults.how) == (Outcome.CANT_TELL, "the models differ, so their answers do")


async def test_texts_at_temperature_0_show_a_changed_model() -> None:
    model, _ = await verdicts(ToyServer(), SilentPerturbed())
    assert model.outcome is Outcome.DIFFERS
    assert "texts part" in model.how


@pytest.mark.usefixtures("fewer_answers")
async def test_drawn_answers_show_a_changed_model_that_repeats_nothing() -> None:
    model, _ = await verdicts(Silent(), UnrepeatableOther())
    assert model.outcome is Outcome.DIFFERS
    assert "distributions" in model.how


async def test_a_model_that_differs_from_itself_as_much_is_not_called_different() -> None:
    model, _ = await verdicts(Noisy(1), Noisy(2))
    assert model.outcome is Outcome.CANT_TELL


@pytest.mark.parametrize("server", [HiddenTopK, Cooler])
async def test_the_same_seeds_show_other_defaults(server: type[ToyServer]) -> None:
    model, defaults = await verdicts(ToyServer(), server())
    assert model.outcome is Outcome.SAME
    assert defaults.outcome is Outcome.DIFFERS
    assert defaults.figures["method"] == "the same seeds"


@pytest.mark.usefixtures("fewer_answers")
@pytest.mark.parametrize("server", [HiddenTopKOther, CoolerOther])
async def test_drawn_answers_show_other_defaults(server: type[ToyServer]) -> None:
    model, defaults = await verdicts(ToyServer(), server())
    assert model.outcome is Outcome.SAME
    assert defaults.outcome is Outcome.DIFFERS
    assert "two-sample" in str(defaults.figures["method"])


async def test_the_reports_name_both_endpoints() -> None:
    found = await compare(ToyServer(), Perturbed())
    found.against, found.against_model = "http://other/v1", "m"
    shown = presentable(found, None)
    assert "<dd><bdi>m at http://other/v1</bdi></dd>" in as_html(shown)
    assert "The endpoints differ" in as_html(shown)
    assert "--against http://other/v1 --against-model m" in as_html(shown)
    assert json.loads(as_json(shown))["against"] == {"url": "http://other/v1", "model": "m"}
    case = ElementTree.fromstring(as_junit(shown)).find(".//testcase[@name='same.model']/failure")
    assert case is not None
    assert exit_status(found) is ExitStatus.FAULT


def draws(random: Random, count: int, weights: Sequence[float]) -> list[str]:
    return [" ".join(random.choices("abcdef", weights, k=4)) for _ in range(count)]


def test_the_two_sample_test_rejects_equal_distributions_no_more_often_than_it_says() -> None:
    random = Random(3)
    alarms = 0
    for _ in range(200):
        test = TwoSampleTest(0.1, looks=1, random=random)
        for prompt in PROMPTS[:4]:
            test.observe(prompt, draws(random, 6, [1] * 6), draws(random, 6, [1] * 6))
        alarms += test.look()
    # The 0.999 quantile of a binomial distribution with 200 trials and probability 0.1.
    assert alarms <= 34


@pytest.mark.parametrize("share", [1.0, 0.0])
def test_the_share_that_would_be_noticed_is_noticed(share: float) -> None:
    """Replaces the share of answers that the test itself names."""
    random, noticed = Random(4), 0
    for _ in range(20):
        test = TwoSampleTest(0.01, looks=1, random=random)
        for prompt in PROMPTS[:6]:
            test.observe(prompt, draws(random, 30, [8, 1, 1, 1, 1, 1]), draws(random, 30, [8, 1, 1, 1, 1, 1]))
        replaced = test.detectable_share() * share
        for texts in test.theirs.values():
            texts[:] = [f"{random.random()}" if random.random() < replaced else one for one in texts]
        noticed += test.look()
    assert noticed >= 17 if share else noticed <= 2


@pytest.mark.parametrize(
    ("one", "other", "cut", "expected"),
    [
        ("A cat sat.", "A cat sat.", False, Parting(4, parts=False)),
        ("A cat sat.", "A dog sat.", False, Parting(1, parts=True)),
        ("A cat", "A cat sat.", False, Parting(2, parts=True)),
        ("A cat s", "A cat sat.", True, Parting(2, parts=False)),
        ("", "A cat", False, Parting(0, parts=True)),
    ],
)
def test_texts_are_compared_until_they_part(one: str, other: str, cut: bool, expected: Parting) -> None:
    assert parting(one, other, cut) == expected
