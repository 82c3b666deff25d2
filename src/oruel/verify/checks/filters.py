"""temperature, top_k, top_p and min_p: drawn first tokens against the distribution that the model's own probabilities
give, and against the distributions of the mistakes that servers make.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from oruel.verify import expected
from oruel.verify.check import Check
from oruel.verify.probe import Probe, divergence
from oruel.verify.statistics import OTHER, Distribution, SequentialTest, complete
from oruel.verify.verdict import Bar, Chart, Verdict, cant_tell, differs, honoured, ignored, refused

IGNORED = "ignored"
# Alternatives closer to the null than this can't be told apart with a reasonable number of draws.
LEAST_DIVERGENCE = 0.02
# The null is only known where the listed tokens cover nearly everything that can be drawn.
LEAST_COVERAGE = 0.98


@dataclass(frozen=True, slots=True)
class Setting:
    """Fields to send, the distribution that they promise, and those of mistakes. All are functions of the model's own
    probabilities of the first token.
    """

    fields: Mapping[str, float]
    null: Callable[[Distribution], Distribution]
    mistakes: Mapping[str, Callable[[Distribution], Distribution]]


def check_setting(parameter: str, *settings: Setting) -> Callable[[Probe], Awaitable[Verdict]]:
    async def run(probe: Probe) -> Verdict:
        case = await most_telling_case(probe, settings)
        if case is None:
            return cant_tell("on no prompt do the alternatives differ enough")
        prompt, setting, base = case
        reply = await probe.chat(**probe.neutral(**{"temperature": 1, "max_tokens": 1, **setting.fields}))
        if not reply.ok:
            return refused(f"status {reply.status}", exchanges=(reply.exchange,))
        test = SequentialTest(
            setting.null(base), {name: mistake(base) for name, mistake in setting.mistakes.items()}, probe.alpha
        )
        await probe.run_test(test, prompt, **probe.neutral(**{"temperature": 1, **setting.fields}))
        return judge(test, parameter, prompt, setting)

    return run


async def most_telling_case(probe: Probe, settings: tuple[Setting, ...]) -> tuple[str, Setting, Distribution] | None:
    """The prompt and setting on which the nearest mistake differs most from the null."""
    best, found = LEAST_DIVERGENCE, None
    for prompt, base in (await probe.bases()).items():
        for setting in settings:
            null = setting.null(base)
            mistakes = [mistake(base) for mistake in setting.mistakes.values()]
            if sum(null.values()) < LEAST_COVERAGE:
                continue
            least = min(min(divergence(null, one), divergence(one, null)) for one in mistakes)
            if least > best:
                best, found = least, (prompt, setting, base)
    return found


def judge(test: SequentialTest, parameter: str, prompt: str, setting: Setting) -> Verdict:
    evidence = {
        "figures": {"draws": test.draws, "prompt": prompt, **setting.fields},
        "p_value": test.p_value,
        "charts": (chart_of(test, f"{parameter}: first tokens of “{prompt}”"),),
    }
    if test.is_rejected:
        name = test.best_alternative
        if name == IGNORED:
            return ignored("the draws follow the distribution without it", **evidence)
        return differs(name or "the draws follow neither the contract nor a known mistake", **evidence)
    if test.is_accepted:
        return honoured(**evidence)
    return cant_tell(f"{test.draws} draws don't decide it", **evidence)


def chart_of(test: SequentialTest, title: str) -> Chart:
    null = complete(test.null)
    tokens = sorted(null, key=lambda token: (token == OTHER, -null[token]))
    others = {name: complete(one) for name, one in test.alternatives.items()}
    return Chart(
        title,
        tuple(Bar(token, null[token], test.counts[token]) for token in tokens),
        {name: tuple(one.get(token, 0.0) for token in tokens) for name, one in others.items()},
    )


def itself(base: Distribution) -> Distribution:
    return base


def top_k_setting(count: int) -> Setting:
    return Setting({"top_k": count}, lambda base: expected.top_k(base, count), {IGNORED: itself})


CHECKS: tuple[Check, ...] = (
    Check(
        "top_k",
        "top_k",
        "Are tokens drawn from the K most probable ones only?",
        "Draws first tokens with top_k on the prompt where that differs most from ignoring it, and compares them with "
        "the K most probable tokens, renormalised.",
        tokens=4000,
        run=check_setting("top_k", *map(top_k_setting, (2, 3, 5, 8))),
        requires=("logprobs", "top_k"),
    ),
)
