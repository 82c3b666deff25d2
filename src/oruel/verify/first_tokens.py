"""Drawn first tokens against the distribution that the model's own probabilities give, and against the distributions of
the mistakes that servers make.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, count
from typing import Any

from oruel.verify.expected import at_temperature
from oruel.verify.frequencies import check_constant
from oruel.verify.probe import MAX_NAMING_DRAWS, Probe, divergence, user
from oruel.verify.reply import Json
from oruel.verify.statistics import OTHER, Distribution, SequentialTest
from oruel.verify.verdict import Bar, Chart, Verdict, cant_tell, differs, honoured, ignored, refused

Transform = Callable[[Distribution], Distribution]

IGNORED = "ignored"
IGNORED_TOO = " is ignored"
NO_LOGPROBS = "the endpoint reports no log-probabilities"
# Alternatives closer to the null than this can't be told apart with a reasonable number of draws.
LEAST_DIVERGENCE = 0.02
# A bound of the share of unlisted tokens is used up to here: it weakens both decisions a little with every draw.
MOST_UNLISTED = 0.002
# About ln(1/α) with the α of a run of 100 checks, and ln(1/β): how much evidence a verdict needs, and its name.
NATS_TO_FIND, NATS_TO_NAME = 12.6, 4.6
# The null is only known where the listed tokens cover nearly everything that can be drawn.
LEAST_COVERAGE = 0.98
# The probabilities may change by this share between two requests (other arithmetic in another batch), and the same
# tokens must survive.
DISTURBANCE = 0.05


@dataclass(frozen=True, slots=True)
class Setting:
    """Fields to send, the distribution that they promise, and those of mistakes: functions of the model's own
    probabilities of the first token. `conditional`: only the ratios of listed tokens are known; `bounded`: what the
    null lacks to 1 is at least the share of the others. `bare`: values that switch other parameters off aren't sent.
    `alone` has settings of each field by itself: where one of them isn't honoured already, their order can't be judged.
    """

    fields: Mapping[str, float]
    null: Transform
    mistakes: Mapping[str, Transform]
    conditional: bool = False
    bounded: bool = False
    bare: bool = False
    alone: Mapping[str, tuple["Setting", ...]] = field(default_factory=dict)

    def request(self, probe: Probe) -> Json:
        fields = {"temperature": 1, **self.fields}
        return fields if self.bare else probe.neutral(**fields)


@dataclass(frozen=True, slots=True)
class Case:
    """A setting on a prompt, with the model's probabilities of the first token there."""

    prompt: str
    setting: Setting
    base: Distribution

    def test(self, alpha: float) -> SequentialTest:
        setting = self.setting
        mistakes = {name: mistake(self.base) for name, mistake in setting.mistakes.items()}
        null = setting.null(self.base)
        if (unlisted := self.most_unlisted) is not None:
            return SequentialTest(null, mistakes, alpha, most_unlisted=unlisted)
        return SequentialTest(null, mistakes, alpha, conditional=setting.conditional)

    @property
    def most_unlisted(self) -> float | None:
        """None if no bound is known, or none that is small enough to be of use."""
        unlisted = max(0.0, 1 - sum(self.setting.null(self.base).values()))
        return unlisted if self.setting.bounded and unlisted <= MOST_UNLISTED else None

    @property
    def is_known(self) -> bool:
        """Whether the null covers what can be drawn."""
        return self.setting.conditional or sum(self.setting.null(self.base).values()) >= LEAST_COVERAGE

    @property
    def is_firm(self) -> bool:
        """Whether slightly different probabilities would leave the same survivors."""
        survivors = self.setting.null(self.base).keys()
        return all(self.setting.null(other).keys() == survivors for other in disturbed(self.base))

    @property
    def counted(self) -> float:
        """The share of draws that a conditional test doesn't set aside, or an upper bound of it."""
        if not self.setting.conditional or self.most_unlisted is not None:
            return 1.0
        return min(1.0, sum(self.setting.null(self.base).values()))

    @property
    def worth(self) -> float:
        """The larger, the fewer draws are needed for the hardest decision between the null and a mistake, and then
        between each two mistakes. 0 if the first needs too many.
        """
        null, *mistakes = self.test(alpha=1).distributions
        information = min(distance(null, one) for one in mistakes) * self.counted
        if information < LEAST_DIVERGENCE:
            return 0.0
        between = [distance(one, other) * self.counted for one, other in combinations(mistakes, 2)]
        naming = (NATS_TO_NAME / max(nats, NATS_TO_NAME / MAX_NAMING_DRAWS) for nats in between)
        return 1 / (NATS_TO_FIND / information + sum(naming))


def distance(one: Distribution, other: Distribution) -> float:
    return min(divergence(one, other), divergence(other, one))


@dataclass(frozen=True, slots=True)
class DrawnTokens:
    """Runs a check. Draws with the setting, and on the prompt, where the nearest mistake differs most. Where the
    endpoint reports no log-probabilities, `strictest` are values that leave only one token.
    """

    parameter: str
    settings: tuple[Setting, ...]
    strictest: Mapping[str, float] | None = None

    async def __call__(self, probe: Probe) -> Verdict:
        if not probe.facts.top_logprobs:
            return await check_constant(probe, self.strictest) if self.strictest else cant_tell(NO_LOGPROBS)
        case = telling_case(await probe.bases(), self.settings)
        if case is None:
            return cant_tell("on no prompt do the alternatives differ enough")
        fields = case.setting.request(probe)
        reply = await probe.chat(messages=user(case.prompt), max_tokens=1, **probe.fresh_seed(), **fields)
        if not reply.ok:
            return refused(f"status {reply.status}", exchanges=(reply.exchange,))
        test = await probe.run_test(case.test(probe.alpha), case.prompt, **fields)
        if test.is_rejected and (name := await broken_alone(probe, case)):
            return cant_tell(f"the draws don't follow {name} alone either", exchanges=(reply.exchange,))
        evidence = {
            "figures": {"draws": test.draws, "prompt": case.prompt, **case.setting.fields},
            "p_value": test.p_value,
            "exchanges": (reply.exchange,),
            "charts": (chart_of(test, f"{self.parameter}: first tokens of “{case.prompt}”"),),
        }
        return judge(test, evidence)


def check_settings(
    parameter: str, settings: Iterable[Setting], strictest: Mapping[str, float] | None = None
) -> DrawnTokens:
    return DrawnTokens(parameter, tuple(settings), strictest)


async def broken_alone(probe: Probe, case: Case) -> str | None:
    """The first field of a rejected setting that isn't honoured on its own either."""
    for name, settings in case.setting.alone.items():
        if single := telling_case(await probe.bases(), settings):
            test = single.test(probe.alpha)
            await probe.run_test(test, single.prompt, **single.setting.request(probe))
            if test.is_rejected:
                return name
    return None


def telling_case(bases: Mapping[str, Distribution], settings: Sequence[Setting]) -> Case | None:
    """The firm one of all settings on all prompts that tells most, if any tells enough."""
    cases = [Case(prompt, one, base) for prompt, base in bases.items() for one in settings]
    rated = sorted(((case.worth, index) for index, case in enumerate(cases) if case.is_known), reverse=True)
    telling = (cases[index] for worth, index in rated if worth)
    return next((case for case in telling if case.is_firm), None)


def disturbed(base: Distribution) -> list[Distribution]:
    """The base sharpened and flattened, and with neighbours in its ranking moved towards and away from each other."""
    flips = [
        {token: p * (1 + sign * DISTURBANCE * (-1) ** i) for i, (token, p) in zip(count(), base.items(), strict=False)}
        for sign in (1, -1)
    ]
    total = [max(1.0, sum(one.values())) for one in flips]
    scaled = [{token: p / size for token, p in one.items()} for one, size in zip(flips, total, strict=True)]
    return [at_temperature(base, 1 - DISTURBANCE / 2), at_temperature(base, 1 + DISTURBANCE / 2), *scaled]


def judge(test: SequentialTest, evidence: dict[str, Any]) -> Verdict:
    if test.is_rejected:
        names = test.explanations
        if names[:1] == [IGNORED]:
            return ignored("the draws follow the distribution without it", **evidence)
        # If each field is honoured alone, their order is the likelier mistake.
        names = [name for name in names if not name.endswith(IGNORED_TOO)] or names
        return differs(", or ".join(names) or "the draws follow neither the contract nor a known mistake", **evidence)
    if test.is_accepted:
        return honoured(**evidence)
    return cant_tell(f"{test.draws} draws don't decide it", **evidence)


def chart_of(test: SequentialTest, title: str) -> Chart:
    null = test.complete(test.null)
    tokens = sorted(null, key=lambda token: (token == OTHER, -null[token]))
    others = {name: test.complete(one) for name, one in test.alternatives.items()}
    return Chart(
        title,
        tuple(Bar(token, null[token], test.counts[token]) for token in tokens),
        {name: tuple(one.get(token, 0.0) for token in tokens) for name, one in others.items()},
    )


def itself(base: Distribution) -> Distribution:
    return base
