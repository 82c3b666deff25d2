"""The temperature that acts when none is sent."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

from oruel.verify.checks.logprobs import SAME_WITHIN
from oruel.verify.expected import at_temperature, keep
from oruel.verify.probe import DRAWS_AT_ONCE, Probe, distinct, divergence, probabilities, user
from oruel.verify.reply import Reply, TokenInfo
from oruel.verify.statistics import Distribution, RatioTest
from oruel.verify.verdict import Exchange, Figures, Verdict, cant_tell, differs, honoured

# Servers' defaults, and those of models' own generation_config.json, are among these. 0.01 stands for 0.
STEP = 0.1
TEMPERATURES = (0.01, *(round(STEP * steps, 1) for steps in range(1, 21)))
MAX_ANSWERS, BEGINNING = 720, 8
# Of so many prompts, the one whose answers tell neighbouring temperatures apart best is asked from the second round on.
TRIED = 4


@dataclass
class TemperatureTest:
    """Compares each token with the ratios of the listed ones at the promised temperature, and at all others of
    TEMPERATURES. `information` is what the answers to each prompt have told about neighbouring temperatures, in nats.
    """

    promised: float
    alpha: float
    information: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    answers: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._by_name = {f"{one:g}": one for one in TEMPERATURES if one != self.promised}
        self.ratios = RatioTest(tuple(self._by_name), self.alpha)

    def observe(self, prompt: str, answer: list[TokenInfo]) -> None:
        self.answers[prompt] += 1
        for token in answer:
            listed = always_listed(token)
            if token.text in listed:
                self._observe_listed(listed, token.text)
                self.information[prompt] += information(listed, self.most_likely)

    def _observe_listed(self, listed: Distribution, text: str) -> None:
        shares = {name: share_at(listed, text, one) for name, one in self._by_name.items()}
        self.ratios.observe(share_at(listed, text, self.promised), shares)

    @property
    def most_likely(self) -> float:
        """The promised temperature, until another one explains the tokens better."""
        best = max(self.ratios.log_ratios, key=self.ratios.log_ratios.__getitem__)
        return self._by_name[best] if self.ratios.log_ratios[best] > 0 else self.promised

    @property
    def explanations(self) -> list[float]:
        """The temperatures that explain the tokens, lowest first, if the promised one doesn't."""
        return sorted(self._by_name[name] for name in self.ratios.explanations)

    @property
    def is_over(self) -> bool:
        is_decided = self.ratios.is_accepted or (self.ratios.is_rejected and len(self.explanations) == 1)
        return is_decided or self.answers.total() >= MAX_ANSWERS

    def next_prompts(self, prompts: list[str]) -> list[str]:
        return [self.best_prompt(prompts)] if self.answers else prompts

    def best_prompt(self, prompts: list[str]) -> str:
        return max(prompts, key=lambda prompt: self.information[prompt] / max(1, self.answers[prompt]))


def always_listed(token: TokenInfo) -> Distribution:
    """The entries that this position has whichever token is chosen. The last place is the chosen token's in vLLM, if it
    isn't among the more probable ones.
    """
    return probabilities(distinct(sorted(token.top, key=lambda entry: -entry[1])[:-1]))


async def check_temperature(probe: Probe) -> Verdict:
    """The beginnings of answers tell more than first tokens."""
    test = TemperatureTest(0.7 if probe.profile.name == "oruel" else 1.0, probe.alpha)
    prompts = sensitive_prompts(await probe.bases(), test.promised)
    if not prompts:
        return cant_tell("on no prompt are probabilities reported")
    while replies := await ask_without_temperature(probe, test.next_prompts(prompts)):
        for prompt, reply in replies:
            if not is_of_model(reply, await probe.base(prompt)):
                return cant_tell("log-probabilities are not those of the model itself", exchanges=(reply.exchange,))
            test.observe(prompt, reply.tokens())
        if test.is_over:
            return judge(test, replies[-1][1].exchange)
    return cant_tell("there are no answers")


def judge(test: TemperatureTest, *exchanges: Exchange) -> Verdict:
    ratios, found = test.ratios, test.explanations
    figures: Figures = {
        "answers": test.answers.total(),
        "tokens": ratios.observed,
        "promised": test.promised,
        "most likely": test.most_likely,
        "prompt": test.best_prompt(list(test.answers)),
    }
    evidence: dict[str, Any] = {"figures": figures, "p_value": ratios.p_value, "exchanges": exchanges}
    if not ratios.is_rejected:
        return honoured(**evidence) if ratios.is_accepted else cant_tell("the answers don't decide it", **evidence)
    if len(found) == 1:
        return differs(f"temperature {found[0]:g} acts", **evidence)
    return differs(f"a temperature between {found[0]:g} and {found[-1]:g} acts", **evidence)


def sensitive_prompts(bases: Mapping[str, Distribution], promised: float) -> list[str]:
    """Those where a slightly different temperature changes the first token's distribution most."""
    return sorted(bases, key=lambda prompt: -information(bases[prompt], promised))[:TRIED]


def information(listed: Distribution, temperature: float) -> float:
    """What a draw among the listed tokens tells about the next higher temperature, in nats."""
    near, far = (keep(at, list(at)) for at in (at_temperature(listed, temperature + more) for more in (0.0, STEP)))
    return divergence(near, far)


async def ask_without_temperature(probe: Probe, prompts: list[str]) -> list[tuple[str, Reply]]:
    """The answered ones of DRAWS_AT_ONCE requests, with their prompts. Left out: answers with thoughts and text, since
    the tokens between these may be forced.
    """
    asked = probe.neutral(max_tokens=BEGINNING, logprobs=True, top_logprobs=probe.facts.top_logprobs)
    turns = in_turn(prompts)
    replies = await probe.endpoint.chats(
        [{**asked, "messages": user(prompt), **probe.fresh_seed()} for prompt in turns]
    )
    pairs = zip(turns, replies, strict=True)
    return [(prompt, one) for prompt, one in pairs if one.ok and one.tokens() and not one.ended_thoughts]


def in_turn(prompts: list[str]) -> list[str]:
    return list(islice(cycle(prompts), DRAWS_AT_ONCE))


def is_of_model(reply: Reply, base: Distribution) -> bool:
    """Whether the first token's log-probabilities are those at temperature 1."""
    top = dict(reply.tokens()[0].top)
    return all(abs(top[text] - math.log(p)) <= SAME_WITHIN for text, p in list(base.items())[:3] if text in top)


def share_at(listed: Distribution, text: str, temperature: float) -> float:
    best = max(listed.values())
    weights = {one: (p / best) ** (1 / temperature) for one, p in listed.items()}
    share: float = weights[text] / math.fsum(weights.values())
    return share
