"""Statistical checks without an endpoint. Each chooses its prompt and setting on toy models, as it does on an endpoint.
Then it draws from the null and from each alternative, as in a run. What is drawn are tokens of the whole distributions;
the check knows the listed ones only. All seeds are fixed.
"""

import math
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from oruel.verify.check import Check
from oruel.verify.checks import CHECKS, default_temperature, defaults
from oruel.verify.checks.seed import CHOICES, CONVINCING, TOKENS, chance_of_repeating
from oruel.verify.checks.seed import PROMPTS as SEED_PROMPTS
from oruel.verify.expected import at_temperature, top_k
from oruel.verify.first_tokens import IGNORED_TOO, Case, DrawnTokens, judge, telling_case
from oruel.verify.probe import DRAWS_AT_ONCE, decide, divergence
from oruel.verify.reply import TokenInfo
from oruel.verify.runner import FALSE_ALARMS
from oruel.verify.statistics import Distribution
from oruel.verify.verdict import Outcome, Verdict
from tests.verify.toy_models import Drawing, ToyModel

ALPHA = FALSE_ALARMS / len(CHECKS)
# A second rate, at which false alarms happen often enough to be counted.
OFTEN = 0.05
HONEST = "honest"
PROMISED = 0.7
TEMPERATURES = (0.01, 0.6, 0.8, 1.0)
EQUAL, TOP_K = "all answers are the same", f"top_k {defaults.HIDDEN_TOP_K} acts"
# How often an answer is repeated.
REPEATING = {("seed.differs", "seed.all_bits", "seed.unset"): CONVINCING, ("seed.choices",): CHOICES - 1}


@dataclass(frozen=True)
class Size:
    """The toy models by their salts, runs of each alternative on each model, and honest runs on each. Those of
    defaults.temperature are a fiftieth of them, because they take long.
    """

    models: Sequence[int] = range(20)
    runs: int = 50
    honest: int = 500


@dataclass(frozen=True)
class Run:
    """One simulated check: what it spent (tokens drawn), and its verdict."""

    draws: int
    verdict: Verdict


@dataclass
class Row:
    """What checks say of an endpoint that follows `truth`. `nats` are the divergences of the truth from the null, as
    they are tested, on each model. `often` counts honest runs with OFTEN as the rate, and their false alarms. `left_to`
    is the parameter whose own checks name the truth.
    """

    checks: tuple[str, ...]
    truth: str
    left_to: str = ""
    runs: list[Run] = field(default_factory=list)
    nats: list[float] = field(default_factory=list)
    often: tuple[int, int] = (0, 0)

    def add(self, other: "Row") -> None:
        """The runs on other models."""
        self.runs += other.runs
        self.nats += other.nats
        self.often = self.often[0] + other.often[0], self.often[1] + other.often[1]

    @property
    def faults(self) -> list[Run]:
        return [run for run in self.runs if run.verdict.outcome.is_fault]

    def share_named(self) -> float:
        """Of those found: by this name, and no other."""
        return share(name_of(run.verdict) == self.truth for run in self.faults)

    def share_listed(self) -> float:
        """Of those found: by this name, or by several with this one among them."""
        return share(self.truth in name_of(run.verdict).split(", or ") for run in self.faults)


def name_of(verdict: Verdict) -> str:
    return "ignored" if verdict.outcome is Outcome.IGNORED else verdict.how


def share(of: Iterable[bool]) -> float:
    values = list(of)
    return sum(values) / len(values) if values else 0.0


async def measure_drawn(check: Check, run: DrawnTokens, size: Size) -> list[Row]:
    """A check of first tokens. Models on which it has no case aren't counted."""
    rows: dict[str, Row] = {}
    for salt in size.models:
        model, random = ToyModel(salt), Random(f"{check.name} {salt}")
        case = telling_case(model.bases(), run.settings)
        if case is None:
            continue
        whole = model.whole(case.prompt)
        truths = {name: mistake(whole) for name, mistake in case.setting.mistakes.items()}
        for name, truth in {HONEST: case.setting.null(whole), **truths}.items():
            row = rows.setdefault(name, Row((check.name,), name, left_to(case, name)))
            drawing = Drawing(random, truth)
            for _ in range(size.honest if name == HONEST else size.runs):
                row.runs.append(await simulate(case, drawing, ALPHA))
            if name == HONEST:
                alarms = [await simulate(case, drawing, OFTEN) for _ in range(size.runs)]
                row.often = row.often[0] + len(alarms), row.often[1] + count_faults(alarms)
            else:
                row.nats.append(tested_divergence(case, name))
    return list(rows.values())


def left_to(case: Case, name: str) -> str:
    parameter = name.removesuffix(IGNORED_TOO)
    return parameter if parameter in case.setting.alone else ""


async def simulate(case: Case, drawing: Drawing, alpha: float) -> Run:
    async def draw() -> Sequence[str]:
        return drawing.draw(DRAWS_AT_ONCE)

    test = await decide(case.test(alpha), draw)
    return Run(test.draws, judge(test, {}))


def count_faults(runs: Iterable[Run]) -> int:
    return sum(run.verdict.outcome.is_fault for run in runs)


def tested_divergence(case: Case, name: str) -> float:
    null, *alternatives = case.test(ALPHA).distributions
    return divergence(alternatives[list(case.setting.mistakes).index(name)], null)


async def measure_temperature(check: Check, size: Size) -> list[Row]:
    rows = {one: Row((check.name,), temperature_name(one)) for one in TEMPERATURES}
    rows[PROMISED] = Row((check.name,), HONEST)
    for salt in size.models:
        model, random = ToyModel(salt), Random(f"{check.name} {salt}")
        prompts = default_temperature.sensitive_prompts(model.bases(), PROMISED)
        for truth, row in rows.items():
            for _ in range(max(1, (size.honest if truth == PROMISED else size.runs) // 50)):
                row.runs.append(simulate_temperature(model, random, prompts, truth))
    return list(rows.values())


def temperature_name(temperature: float) -> str:
    return f"temperature {temperature:g} acts"


def simulate_temperature(model: ToyModel, random: Random, prompts: list[str], truth: float) -> Run:
    test = default_temperature.TemperatureTest(PROMISED, ALPHA)
    while not test.is_over:
        for prompt in default_temperature.in_turn(test.next_prompts(prompts)):
            test.observe(prompt, model.answer(random, prompt, default_temperature.BEGINNING, truth))
    return Run(test.ratios.observed, default_temperature.judge(test))


async def measure_top_k(check: Check, size: Size) -> list[Row]:
    rows = {defaults.HIDDEN_TOP_K: Row((check.name,), TOP_K), 0: Row((check.name,), HONEST)}
    for salt in size.models:
        model, random = ToyModel(salt), Random(f"{check.name} {salt}")
        bases = model.bases()
        prompt, _ = defaults.most_open(bases, ALPHA)
        whole = model.whole(prompt)
        for kept, row in rows.items():
            drawing = Drawing(random, at_temperature(top_k(whole, kept) if kept else whole, defaults.FLAT))
            for _ in range(size.runs):
                row.runs.append(simulate_top_k(bases, whole, drawing))
    return list(rows.values())


def simulate_top_k(bases: Mapping[str, Distribution], whole: Distribution, drawing: Drawing) -> Run:
    prompt, survivors = defaults.most_open(bases, ALPHA)
    while not survivors.is_over:
        for text in drawing.draw(DRAWS_AT_ONCE):
            survivors.observe(TokenInfo(text, math.log(whole.get(text, 1e-9))))
    return Run(len(survivors.news), defaults.judge_survivors(prompt, survivors))


async def measure_repeating(checks: tuple[str, ...], size: Size) -> list[Row]:
    """An endpoint that repeats itself is called faulty if its answer was improbable enough. An honest one is, if it
    repeats itself by chance.
    """
    row, honest = Row(checks, EQUAL), Row(checks, HONEST)
    times = REPEATING[checks]
    for salt in size.models:
        model, random = ToyModel(salt), Random(f"{checks} {salt}")
        for _ in range(size.runs):
            first, *others = (model.answer(random, SEED_PROMPTS[0], TOKENS, 1.0) for _ in range(times + 1))
            row.runs.append(repeating(first, [first] * times))
            honest.runs.append(repeating(first, others))
    return [row, honest]


def repeating(first: list[TokenInfo], others: list[list[TokenInfo]]) -> Run:
    draws = sum(map(len, [first, *others]))
    if any(other != first for other in others):
        return Run(draws, Verdict(Outcome.HONOURED))
    p_value = chance_of_repeating(first, len(others))
    is_fault = p_value is not None and p_value <= ALPHA
    return Run(draws, Verdict(Outcome.DIFFERS, EQUAL) if is_fault else Verdict(Outcome.CANT_TELL))


Measurement = Callable[[Size], Coroutine[Any, Any, list[Row]]]


def measurements() -> Iterator[Measurement]:
    """Of every statistical check, those of first tokens in the order of CHECKS."""
    for check in CHECKS:
        if isinstance(check.run, DrawnTokens):
            yield partial(measure_drawn, check, check.run)
    by_name = {check.name: check for check in CHECKS}
    yield partial(measure_temperature, by_name["defaults.temperature"])
    yield partial(measure_top_k, by_name["defaults.top_k"])
    for checks in REPEATING:
        yield partial(measure_repeating, checks)


def truths() -> Iterator[tuple[str, str]]:
    """The statistical checks, each with everything that it is measured with."""
    for check in CHECKS:
        if isinstance(check.run, DrawnTokens):
            mistakes = dict.fromkeys(name for setting in check.run.settings for name in setting.mistakes)
            yield from ((check.name, name) for name in (HONEST, *mistakes))
    yield from (("defaults.temperature", name) for name in (HONEST, *map(temperature_name, TEMPERATURES)))
    yield from (("defaults.top_k", name) for name in (HONEST, TOP_K))
    yield from ((check, name) for checks in REPEATING for check in checks for name in (HONEST, EQUAL))
