"""Hidden defaults: parameters that act although the request doesn't set them."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from oruel.verify.balance import Balance, Weight
from oruel.verify.check import Check
from oruel.verify.checks.default_temperature import check_temperature
from oruel.verify.checks.steps import if_repeatable
from oruel.verify.expected import at_temperature, covered, keep, min_p, top_p
from oruel.verify.first_tokens import Setting, check_settings, itself
from oruel.verify.penalty_scale import TOLERANCE, Scale, find_scale, rows_that_repeat
from oruel.verify.probe import DRAWS_AT_ONCE, Probe, is_plain, user
from oruel.verify.reply import TokenInfo
from oruel.verify.statistics import Distribution, RatioTest
from oruel.verify.verdict import Figures, Verdict, cant_tell, differs, honoured

HIDDEN_TOP_K = 40
FLAT = 2.0
MOST_DRAWS = 900
ALL_KNOWN = "all tokens are known"
STARTS = {f"few tokens are left after {start}": start for start in (0, 48, 96, 192, 384)}
# So many tokens can't be the 40 most probable ones.
ENOUGH, NEARLY = HIDDEN_TOP_K + 2, 8
BIASES = (50.0, 80.0)


def hidden_filter() -> Setting:
    wide, narrow = partial(top_p, share=0.95), partial(top_p, share=0.9)
    return Setting(
        {"temperature": 1},
        itself,
        {
            "top_p 0.95 acts": wide,
            "top_p 0.9 acts": narrow,
            "min_p 0.05 acts": partial(min_p, ratio=0.05),
            "min_p 0.1 acts": partial(min_p, ratio=0.1),
        },
        bare=True,
    )


def keep_all(base: Distribution) -> Distribution:
    return keep(base, list(base))


@dataclass
class Survivors:
    """Draws at temperature 2, where rare tokens come often, until it is clear that new ones keep coming, or don't.

    `known` are the tokens that the endpoint lists and those drawn so far, with the model's own probabilities. The rest
    of the probability belongs to new tokens. At temperature 2 they have at least the share that they would have if each
    were as probable as the least listed one.

    The alternative, that few tokens are left, expects as many new ones as came before, by Krichevsky and Trofimov's
    estimate. There is one such alternative for each of STARTS, which counts from there on, since the first draws of a
    server with a hidden top_k are new as well; and one that expects no new ones as soon as 40 are known.
    """

    known: dict[str, float]
    test: RatioTest
    drawn: Counter[str] = field(default_factory=Counter)
    news: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listed = dict(self.known)

    def observe(self, token: TokenInfo) -> None:
        key = key_of(token)
        is_new = key not in self.known
        expected = {name: self._expected_new(start) for name, start in STARTS.items() if start <= len(self.news)}
        if len(self.known) >= HIDDEN_TOP_K:
            expected[ALL_KNOWN] = 0.0
        shares = {name: share if is_new else 1 - share for name, share in expected.items()}
        self.test.observe(1.0 if is_new else 1 - self.least_new, shares)
        self.news.append(is_new)
        self.drawn[key] += 1
        self.known.setdefault(key, math.exp(token.logprob))

    @property
    def is_over(self) -> bool:
        return self.test.is_rejected or len(self.known) > ENOUGH or len(self.news) >= MOST_DRAWS

    @property
    def listed_that_came(self) -> Distribution:
        return {key: p for key, p in self._listed.items() if key in self.drawn}

    @property
    def are_flat(self) -> bool:
        """Whether the ratios of the listed tokens that came, at least one, are those at temperature 2, rather than at
        1.
        """
        came = self.listed_that_came
        flat, plain = (keep_all(at_temperature(came, one)) for one in (FLAT, 1.0))
        return math.fsum(self.drawn[key] * math.log(flat[key] / plain[key]) for key in came) > 0

    def _expected_new(self, start: int) -> float:
        seen = self.news[start:]
        return (sum(seen) + 0.5) / (len(seen) + 1)

    @property
    def least_new(self) -> float:
        """A lower bound of the probability that the next token is new."""
        rest: float = max(0.0, 1 - covered(self.known)) * min(self._listed.values()) ** (1 / FLAT - 1)
        return rest / (rest + math.fsum(p ** (1 / FLAT) for p in self.known.values()))


def key_of(token: TokenInfo) -> str:
    """The text, or the bytes of a part of a character."""
    return token.text if is_plain(token.text) else repr((token.text, token.bytes))


async def check_top_k(probe: Probe) -> Verdict:
    """Whether tokens keep coming that no top_k of 40 would leave."""
    bases = await probe.bases()
    if not bases:
        return cant_tell("on no prompt are probabilities reported")
    prompt, survivors = most_open(bases, probe.alpha)
    while not survivors.is_over:
        tokens = await draw_flat(probe, prompt, DRAWS_AT_ONCE)
        if not tokens:
            return cant_tell("temperature 2 gives no tokens")
        for token in tokens:
            survivors.observe(token)
    return judge_survivors(prompt, survivors)


def most_open(bases: Mapping[str, Distribution], alpha: float) -> tuple[str, Survivors]:
    """The prompt on which new tokens come most often."""
    found = [(prompt, Survivors(dict(base), RatioTest((ALL_KNOWN, *STARTS), alpha))) for prompt, base in bases.items()]
    return max(found, key=lambda one: (len(one[1].known), one[1].least_new))


def judge_survivors(prompt: str, survivors: Survivors) -> Verdict:
    different = len(survivors.drawn)
    figures: Figures = {"draws": len(survivors.news), "different tokens": different, "prompt": prompt}
    if len(survivors.known) > ENOUGH:
        return honoured(figures=figures)
    if not survivors.test.is_rejected:
        return cant_tell("too little probability is left for other tokens than the most probable 40", figures=figures)
    if not survivors.listed_that_came:
        return cant_tell("none of the tokens that are listed as the most probable ones comes", figures=figures)
    if not survivors.are_flat:
        return cant_tell("temperature 2 doesn't act", figures=figures)
    how = "top_k 40 acts" if abs(different - HIDDEN_TOP_K) <= NEARLY else f"only {different} different tokens come"
    return differs(how, figures=figures, p_value=survivors.test.p_value)


async def draw_flat(probe: Probe, prompt: str, count: int) -> list[TokenInfo]:
    asked = {"temperature": FLAT, "max_tokens": 1, "messages": user(prompt), **probe.facts.token_fields}
    replies = await probe.endpoint.chats([{**asked, **probe.fresh_seed()} for _ in range(count)])
    return [reply.tokens()[0] for reply in replies if reply.ok and reply.tokens()]


async def weigh_repeated(probe: Probe, scale: Scale) -> tuple[Weight, Weight, Weight] | None:
    """Without a penalty, with the light and the heavy bias; with penalties of 0, and the light bias. None if no pair
    is decided after its first token, before which nothing could be penalised.
    """
    for pair, row in [(scale.successor, 2), *rows_that_repeat(scale.rivals)]:
        light, heavy = [await Balance(probe, pair, bias=bias, bare=True).weigh(row) for bias in BIASES]
        plain = await Balance(probe, pair, bias=BIASES[0]).weigh(row)
        if heavy.position and not (light.clipped or heavy.clipped or plain.clipped):
            return light, heavy, plain
    return None


async def check_penalties(probe: Probe) -> Verdict:
    """Weighs a token that came once, with no penalty sent. One that multiplies logits grows with the bias, and one that
    is subtracted goes away when a penalty of 0 is sent.
    """
    scale = await find_scale(probe)
    if scale is None:
        return cant_tell("no tokens were found that logit_bias brings about")
    weights = await weigh_repeated(probe, scale)
    if weights is None:
        return cant_tell("the tokens can't be weighed where they are repeated")
    light, heavy, plain = weights
    growth, added = heavy.gap - light.gap, light.gap - plain.gap
    figures: Figures = {"grows with bias by, nats": round(growth, 2), "goes away at 0, nats": round(added, 2)}
    evidence: dict[str, Any] = {"figures": figures, "exchanges": light.exchanges}
    if growth > TOLERANCE:
        return differs(f"a repetition penalty of {1 / (1 - growth / (BIASES[1] - BIASES[0])):.2g} acts", **evidence)
    if abs(added) > TOLERANCE:
        return differs(f"a penalty of {added:.1f} acts", **evidence)
    return honoured(**evidence)


CHECKS: tuple[Check, ...] = (
    Check(
        "defaults.temperature",
        "defaults",
        "Does the promised temperature act when none is sent?",
        "Asks for answers without a temperature, and compares each token with the ratios of the listed ones at the "
        "promised temperature, and at all others in steps of 0.1 up to 2.",
        tokens=5000,
        run=check_temperature,
        requires=("logprobs",),
    ),
    Check(
        "defaults.filters",
        "defaults",
        "Do top_p and min_p leave all tokens when they aren't sent?",
        "Draws first tokens with nothing but temperature 1, and compares them with the model's own probabilities, and "
        "with what top_p 0.95 or 0.9 and min_p 0.05 or 0.1 would leave.",
        tokens=4000,
        run=check_settings("defaults.filters", [hidden_filter()]),
        requires=("logprobs",),
    ),
    Check(
        "defaults.top_k",
        "defaults",
        "Do more than 40 different tokens come when top_k isn't sent?",
        "Draws first tokens with nothing but temperature 2, on the prompt where the listed tokens cover least. The "
        "model's own probabilities of the tokens seen so far tell how often new ones must come.",
        tokens=6000,
        run=check_top_k,
        requires=("logprobs",),
    ),
    Check(
        "defaults.penalties",
        "defaults",
        "Is there no penalty when none is sent?",
        "At temperature 0, logit_bias lifts two tokens above all others. The difference in bias at which the choice "
        "between them flips must not depend on how far they are lifted, nor on whether penalties of 0 are sent.",
        tokens=1500,
        run=if_repeatable(check_penalties),
        requires=("logit_bias",),
    ),
)
