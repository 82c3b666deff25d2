"""The checks of a comparison with another endpoint: its model, and what it does with requests that set nothing."""

from oruel.verify.against.answers import DRAWN_TOKENS, LOOKS, compare_draws, compare_greedy, compare_seeds
from oruel.verify.against.pair import Pair
from oruel.verify.against.probabilities import compare_probabilities
from oruel.verify.against.prompts import PROMPTS
from oruel.verify.check import Check
from oruel.verify.probe import Probe
from oruel.verify.verdict import Outcome, Verdict, cant_tell


async def check_model(probe: Probe) -> Verdict:
    """By the most powerful method that both endpoints allow."""
    pair = pair_of(probe)
    if pair.top_logprobs:
        verdict = await compare_probabilities(pair)
    else:
        verdict = await compare_greedy(pair) or await compare_draws(pair, pair.neutral(temperature=1), probe.alpha)
    if verdict.outcome is not Outcome.CANT_TELL:
        pair.other.same_model = verdict.outcome is Outcome.SAME
    return verdict


async def check_defaults(probe: Probe) -> Verdict:
    pair = pair_of(probe)
    if pair.other.same_model is False:
        return cant_tell("the models differ, so their answers do")
    # There are two ways to go wrong: the seeds are judged, and then the texts or the answers.
    alpha = probe.alpha / 2
    return await compare_seeds(pair, {}, alpha) or await compare_draws(pair, {}, alpha)


def pair_of(probe: Probe) -> Pair:
    if probe.other is None:
        raise ValueError("a comparison needs another endpoint")
    return Pair(probe, probe.other)


CHECKS: tuple[Check, ...] = (
    Check(
        "same.model",
        "same",
        "Do both endpoints serve the same model?",
        "Compares the log-probabilities of first tokens that both report, or else their texts at temperature 0, or "
        "else the distributions of drawn answers by a two-sample test.",
        tokens=4 * len(PROMPTS) * 40,
        run=check_model,
    ),
    Check(
        "same.defaults",
        "same",
        "Do both endpoints answer alike if a request sets nothing?",
        "Compares texts drawn with the same seeds, if seeds mean the same to both, or else the distributions of drawn "
        "answers by a two-sample test. The temperature and the filters are the endpoints' own.",
        tokens=2 * LOOKS[-1] * len(PROMPTS) * (DRAWN_TOKENS + 20),
        run=check_defaults,
    ),
)
