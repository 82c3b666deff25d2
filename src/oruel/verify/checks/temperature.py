"""temperature: 0 is the argmax, and everywhere else log-probabilities are divided by it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from oruel.verify.check import Check
from oruel.verify.expected import at_temperature, ranked
from oruel.verify.first_tokens import IGNORED, Setting, check_settings, itself
from oruel.verify.frequencies import check_constant
from oruel.verify.probe import Probe, user
from oruel.verify.reply import Reply, TokenInfo
from oruel.verify.statistics import Distribution
from oruel.verify.verdict import Verdict, cant_tell, differs, honoured, refused

# Tokens closer than this, in nats, may change places with the batch that a request is computed in.
NEARLY_TIED = 0.05
GREEDY_PROMPTS = ("Tell me a story.", "Name an animal.", "Begin a sentence about the sea.")
GREEDY_TOKENS, REPEATS = 24, 3


def argmax(base: Distribution) -> Distribution:
    return {ranked(base)[0]: 1.0}


def setting(temperature: float, *acts_as: float) -> Setting:
    """Another temperature may act instead, or a server may multiply where it should divide."""
    mistakes = {
        f"clamped to {other:g}" if 1 <= other < temperature else f"it acts as {other:g}": partial(
            at_temperature, temperature=other
        )
        for other in acts_as
    }
    inverse = partial(at_temperature, temperature=1 / temperature)
    return Setting(
        {"temperature": temperature},
        partial(at_temperature, temperature=temperature),
        {"log-probabilities are multiplied by it": inverse, **mistakes},
        conditional=True,
        bounded=temperature < 1,
    )


def ignorable(one: Setting, name: str) -> Setting:
    return replace(one, mistakes={name: itself, **one.mistakes})


def small(temperature: float) -> Setting:
    one = setting(temperature, 0.5, 0.7)
    return ignorable(replace(one, mistakes={**one.mistakes, "it acts as 0": argmax}), IGNORED)


async def check_zero(probe: Probe) -> Verdict:
    if not probe.facts.top_logprobs:
        return await check_constant(probe, {"temperature": 0})
    top = min(probe.facts.top_logprobs, 5)
    tokens = 0
    for prompt in GREEDY_PROMPTS:
        fields = probe.neutral(temperature=0, max_tokens=probe.room(GREEDY_TOKENS), messages=user(prompt))
        replies = [
            await probe.chat(**fields, **probe.fresh_seed(), logprobs=True, top_logprobs=top) for _ in range(REPEATS)
        ]
        for reply in replies:
            if not reply.ok:
                return refused(f"status {reply.status}", exchanges=(reply.exchange,))
            tokens += len(reply.text_tokens())
            if worse := worse_tokens(reply.text_tokens()):
                return not_greedy(worse, reply)
        if len({reply.whole_text for reply in replies}) > 1:
            other = next(reply for reply in replies if reply.whole_text != replies[0].whole_text)
            return differs(
                "equal requests give different answers",
                figures={"prompt": prompt},
                exchanges=(replies[0].exchange, other.exchange),
            )
    if not tokens:
        return cant_tell("the answers have no tokens of text")
    return honoured(figures={"tokens": tokens, "repeats": REPEATS}, exchanges=(replies[0].exchange,))


@dataclass(frozen=True, slots=True)
class Worse:
    """A chosen token that is clearly less probable than the best one. `best_came`: that one came before."""

    chosen: TokenInfo
    best: tuple[str, float]
    best_came: bool


def worse_tokens(tokens: Sequence[TokenInfo]) -> list[Worse]:
    found, came = [], set[str]()
    for token in tokens:
        best = max(token.top, key=lambda entry: entry[1], default=("", -math.inf))
        if token.logprob < best[1] - NEARLY_TIED:
            found.append(Worse(token, best, best[0] in came))
        came.add(token.text)
    return found


def not_greedy(worse: Sequence[Worse], reply: Reply) -> Verdict:
    first = worse[0]
    best, value = first.best
    figures = {"drawn": first.chosen.text, "its logprob": first.chosen.logprob, "best": best, "best logprob": value}
    how = "a token is chosen that isn't the most probable"
    if all(one.best_came for one in worse):
        how += "; all that were passed over had come before, as with a hidden penalty"
    return differs(how, figures=figures, exchanges=(reply.exchange,))


CHECKS: tuple[Check, ...] = (
    Check(
        "temperature.zero",
        "temperature",
        "Is 0 the most probable token every time, whatever the seed?",
        "Asks three questions three times each, with different seeds. Each token of each answer must be the most "
        "probable one by the log-probabilities that come with it, and the answers must be equal.",
        tokens=500,
        run=check_zero,
    ),
    Check(
        "temperature",
        "temperature",
        "Do draws at temperature 0.5 follow the log-probabilities divided by 0.5?",
        "Draws first tokens, and compares them with softmax(log p / T), with the distribution at temperature 1 and at "
        "usual defaults, and with p^T. Tokens that aren't listed count if a small bound of their share is known.",
        tokens=1500,
        run=check_settings("temperature", [ignorable(setting(0.5, 0.7, 0.8), IGNORED)], strictest={"temperature": 0}),
    ),
    Check(
        "temperature.small",
        "temperature",
        "Is a small temperature used as it is, without a floor?",
        "Draws first tokens at 0.1 to 0.3, where two tokens are close, and compares them with what a floor of 0.5 or "
        "0.7, and 0, would give.",
        tokens=1500,
        run=check_settings("temperature.small", map(small, (0.1, 0.2, 0.3))),
        requires=("logprobs",),
    ),
    Check(
        "temperature.above_one",
        "temperature",
        "Are temperatures above 1 honoured, up to 2?",
        "Draws first tokens at 2, and compares the ratios of the listed ones with softmax(log p / 2), and with what a "
        "limit of 1 or 1.5 would give.",
        tokens=4000,
        run=check_settings("temperature.above_one", [setting(2, 0.7, 0.8, 1, 1.5)]),
        requires=("logprobs",),
    ),
)
