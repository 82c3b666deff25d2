"""frequency_penalty, presence_penalty and repetition_penalty: weighed in nats, on a balance of logit_bias."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from oruel.verify.balance import PROMPT, Balance, Pair, find_rivals, find_successor
from oruel.verify.check import Check
from oruel.verify.checks.greedy_penalties import check_by_greedy_choices, find_rewarded_repeat
from oruel.verify.probe import Probe
from oruel.verify.verdict import Exchange, Figures, Verdict, cant_tell, differs, honoured, ignored, refused

IGNORED = "ignored"
OCCURRENCES = "it counts occurrences, as frequency_penalty does"
PRESENCE = "it counts presence only, as presence_penalty does"
# Penalties are measured to within this, in nats: the balance's precision, and arithmetic that depends on the batch.
TOLERANCE = 0.4
ADDITIVE_BIAS = 50.0
SIZE = 2.0
# The row of tokens in which penalties that count add up.
ROW = 8
# Logits may be of any size, but bias is known: the effect of repetition_penalty on it doesn't depend on them.
LARGE_BIAS, SMALL_BIAS = 100.0, 60.0
REPETITION = 2.0
TIMES_IN_PROMPT = 20
# Rows longer than the window that llama.cpp counts, each with a penalty whose sum stays on the scale.
USUAL_WINDOW = 64
LONG_ROWS = ((90, 0.75), (180, 0.5))
WITHIN_TOKENS = 2.5
# The model's own lead of a token over another doesn't change by more than this along a row, in nats. A row that breaks
# early, although a penalty that counts all would have grown by more, shows that it stopped growing.
MOST_LEAD = 40.0

Law = Callable[[int], float]
"""The penalty of a token that came so many times, in nats."""


@dataclass(frozen=True, slots=True)
class Point:
    """A measured penalty of a token that came `count` times before."""

    count: int
    penalty: float
    exchanges: tuple[Exchange, ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """`rivals` are alike, wherever they stand; `successor` is likely to take over after one token, which tells how much
    that one token is penalised. `raw`: log-probabilities are those of the model itself, so that penalties can be read
    off; otherwise they are differences from a measurement without any.
    """

    probe: Probe
    rivals: Pair
    successor: Pair
    raw: bool

    async def point(self, pair: Pair, row: int, bias: float = ADDITIVE_BIAS, **fields: Any) -> Point | None:
        """None if the row broke where nothing had come before, or at the end of the scale."""
        balance = Balance(self.probe, pair, bias=bias)
        weight = await balance.weigh(row, **fields)
        if weight.clipped or weight.position == 0:
            return None
        if self.raw and weight.penalty is not None:
            return Point(weight.position, weight.penalty, weight.exchanges)
        plain = await balance.weigh(weight.position + 1)
        if plain.clipped or plain.position != weight.position:
            return None
        return Point(weight.position, weight.gap - plain.gap, weight.exchanges)

    async def points(self, **fields: Any) -> list[Point]:
        found = [await self.point(self.successor, 2, **fields), await self.point(self.rivals, ROW, **fields)]
        return [one for one in found if one]


async def find_scale(probe: Probe) -> Scale | None:
    rivals = await find_rivals(probe)
    if rivals is None:
        return None
    successor = await find_successor(probe, rivals.weighed) if probe.facts.top_logprobs else None
    pair = successor or rivals
    plain = await Balance(probe, pair, bias=ADDITIVE_BIAS).weigh(2)
    return Scale(probe, rivals, pair, raw=plain.penalty is not None and abs(plain.penalty) <= TOLERANCE)


def laws(size: float) -> Mapping[str, Law]:
    """What penalties of this size may do. The first two are frequency_penalty and presence_penalty."""
    return {
        OCCURRENCES: lambda count: size * count,
        PRESENCE: lambda count: size,
        IGNORED: lambda count: 0.0,
        "the sign is reversed": lambda count: -size * count,
        "the sign is reversed, and it counts presence": lambda count: -size,
        "it acts twice": lambda count: 2 * size * count,
        "it acts twice, and counts presence": lambda count: 2 * size,
    }


def check_additive(parameter: str, promised: str) -> Callable[[Probe], Awaitable[Verdict]]:
    async def run(probe: Probe) -> Verdict:
        if refusal := await try_value(probe, parameter, SIZE):
            return refusal
        scale = await find_scale(probe) if "logit_bias" in probe.facts.accepts else None
        if scale is None:
            return await check_by_greedy_choices(probe, parameter)
        points = await scale.points(**{parameter: SIZE})
        if not points:
            return cant_tell("the tokens that were weighed change places by themselves")
        evidence = evidence_of(points, weak=not scale.raw)
        fitting = [name for name, law in laws(SIZE).items() if fits(law, points)]
        if promised in fitting and (len(fitting) == 1 or max(point.count for point in points) > 1):
            return honoured(**evidence)
        if IGNORED in fitting:
            return ignored("repeated tokens are as probable as without it", **evidence)
        if promised in fitting:
            return await tell_presence(scale, parameter, promised, evidence)
        if fitting:
            return differs(fitting[0], **evidence)
        return differs(await describe(scale, parameter, points), **evidence)

    return run


async def tell_presence(scale: Scale, parameter: str, promised: str, evidence: dict[str, Any]) -> Verdict:
    """A row of any length that holds although each token would add to the penalty counts presence only."""
    row = Balance(scale.probe, scale.rivals, bias=ADDITIVE_BIAS)
    plain, penalised = await row.weigh(ROW * 2), await row.weigh(ROW * 2, **{parameter: SIZE})
    grows = penalised.gap - plain.gap > 2 * SIZE
    if grows == (promised == OCCURRENCES):
        return honoured(**evidence)
    return differs(OCCURRENCES if grows else PRESENCE, **evidence)


async def describe(scale: Scale, parameter: str, points: list[Point]) -> str:
    """Names a penalty that follows no law: one that multiplies depends on the bias."""
    other = await scale.point(scale.successor, 2, bias=ADDITIVE_BIAS + 20, **{parameter: SIZE})
    same = next((one for one in points if other and one.count == other.count), None)
    if other and same and abs(other.penalty - same.penalty) > 2 * TOLERANCE:
        return "it multiplies logits, as repetition_penalty does"
    return f"the penalty is {points[-1].penalty:.1f} after {points[-1].count} occurrences"


def fits(law: Law, points: list[Point]) -> bool:
    return all(abs(point.penalty - law(point.count)) <= TOLERANCE for point in points)


def evidence_of(points: list[Point], weak: bool = False) -> dict[str, Any]:
    figures: Figures = {f"penalty after {one.count}, nats": round(one.penalty, 2) for one in points}
    return {"figures": figures, "exchanges": points[-1].exchanges, "weak": weak}


async def try_value(probe: Probe, parameter: str, value: float) -> Verdict | None:
    reply = await probe.chat(**probe.neutral(**{"max_tokens": 1, parameter: value}))
    return None if reply.ok else refused(f"status {reply.status}", exchanges=(reply.exchange,))


async def check_repetition(probe: Probe) -> Verdict:
    """On the known bias of 40 between the two weighings, r takes away 40 × (1 − 1/r)."""
    if refusal := await try_value(probe, "repetition_penalty", REPETITION):
        return refusal
    if rewarded := await find_rewarded_repeat(probe, REPETITION):
        return rewarded
    scale = await find_scale(probe) if "logit_bias" in probe.facts.accepts else None
    if scale is None:
        return cant_tell("without logit_bias and token ids, the size of logits isn't known")
    once = await weigh_multiplied(scale, scale.successor, 2)
    often = await weigh_multiplied(scale, scale.rivals, 4)
    if not once:
        plain = await scale.point(scale.successor, 2)
        hidden = plain is not None and abs(plain.penalty) <= TOLERANCE
        return cant_tell("repeated tokens can't be weighed" if hidden else "the tokens can't be weighed")
    return judge_repetition(once, often, not scale.raw)


async def weigh_multiplied(scale: Scale, pair: Pair, row: int) -> tuple[Point, Point] | None:
    found = [await scale.point(pair, row, bias, repetition_penalty=REPETITION) for bias in (LARGE_BIAS, SMALL_BIAS)]
    large, small = found
    return (large, small) if large and small and large.count == small.count else None


def judge_repetition(once: tuple[Point, Point], often: tuple[Point, Point] | None, weak: bool) -> Verdict:
    large, small = once
    share = (large.penalty - small.penalty) / (LARGE_BIAS - SMALL_BIAS)
    evidence = evidence_of(list(once), weak)
    evidence["figures"] = {
        f"penalty at bias {LARGE_BIAS:g}, nats": round(large.penalty, 2),
        f"penalty at bias {SMALL_BIAS:g}, nats": round(small.penalty, 2),
        "share of the logit taken away": round(share, 3),
        "promised share": 1 - 1 / REPETITION,
    }
    if near(share, 0):
        if abs(large.penalty) <= TOLERANCE:
            return ignored("repeated tokens are as probable as without it", **evidence)
        return differs("it acts before logit_bias", **evidence)
    if near(share, 1 - 1 / REPETITION**2):
        return differs("it acts twice", **evidence)
    if near(share, 1 - REPETITION):
        return differs("logits are multiplied, not divided", **evidence)
    if not near(share, 1 - 1 / REPETITION):
        return differs(f"it takes {share:.2f} of the logit away", **evidence)
    if often:
        count, growth = often[0].count, (often[0].penalty - often[1].penalty) / (LARGE_BIAS - SMALL_BIAS)
        evidence["figures"][f"share after {count}"] = round(growth, 3)
        if count > 1 and near(growth, 1 - REPETITION**-count):
            return differs("it acts once for each time a token came", **evidence)
    return honoured(**evidence)


def near(share: float, expected: float) -> bool:
    return abs(share - expected) <= 0.03


def check_prompt(parameter: str, value: float, promised: bool = False) -> Callable[[Probe], Awaitable[Verdict]]:
    """Weighs the first token, before which nothing was generated, on a prompt that repeats it."""

    async def run(probe: Probe) -> Verdict:
        if refusal := await try_value(probe, parameter, value):
            return refusal
        rivals = await find_rivals(probe)
        if rivals is None:
            return cant_tell("no tokens were found that logit_bias brings about")
        word = rivals.weighed.text.strip()
        balance = Balance(probe, rivals, f"{PROMPT}\n" + f"{word}\n" * TIMES_IN_PROMPT, ADDITIVE_BIAS)
        plain, weight = await balance.weigh(1), await balance.weigh(1, **{parameter: value})
        penalty = weight.gap - plain.gap
        figures = {"repeated in the prompt": word, "times": TIMES_IN_PROMPT, "penalty, nats": round(penalty, 2)}
        evidence = {"figures": figures, "exchanges": weight.exchanges}
        if plain.clipped:
            return cant_tell("the tokens can't be weighed on this prompt", **evidence)
        if abs(penalty) <= TOLERANCE:
            return honoured(**evidence)
        return differs("the prompt is counted", **evidence)

    return run


async def check_window(probe: Probe) -> Verdict:
    """A penalty that counts all of a long row is larger than one that counts its last 64 tokens. Where the row broke
    early, both are the same: then a longer one tells.
    """
    rivals = await find_rivals(probe)
    if rivals is None:
        return cant_tell("no tokens were found that logit_bias brings about")
    balance = Balance(probe, rivals, bias=LARGE_BIAS)
    for row, penalty in LONG_ROWS:
        weight = await balance.weigh(row, precision=1.0, frequency_penalty=penalty)
        if weight.clipped or weight.penalty is None:
            return cant_tell("the tokens can't be weighed in a long row", exchanges=weight.exchanges)
        counted, missing = weight.penalty / penalty, (row - 1 - weight.position) * penalty
        if weight.position > USUAL_WINDOW:
            break
    figures: Figures = {"tokens in a row": weight.position, "counted": round(counted, 1)}
    evidence: dict[str, Any] = {"figures": figures, "exchanges": weight.exchanges}
    if counted < WITHIN_TOKENS:
        return cant_tell("frequency_penalty doesn't count", **evidence)
    if abs(counted - weight.position) > WITHIN_TOKENS or missing > MOST_LEAD:
        window = USUAL_WINDOW if abs(counted - USUAL_WINDOW) <= WITHIN_TOKENS else round(counted)
        return differs(f"only the last {window} tokens count", **evidence)
    if weight.position <= USUAL_WINDOW:
        return cant_tell("the row broke before a window would show", **evidence)
    return honoured(**evidence)


async def check_order(probe: Probe) -> Verdict:
    """If repetition_penalty acted last, it would divide the other penalties too."""
    scale = await find_scale(probe)
    if scale is None:
        return cant_tell("no tokens were found that logit_bias brings about")
    fields = {"repetition_penalty": REPETITION, "frequency_penalty": SIZE, "presence_penalty": SIZE}
    alone = await scale.point(scale.successor, 2, LARGE_BIAS, repetition_penalty=REPETITION)
    added = await scale.point(scale.successor, 2, LARGE_BIAS, **fields)
    if not alone or not added or alone.count != added.count:
        return cant_tell("the tokens that were weighed change places by themselves")
    first = SIZE * (added.count + 1)
    growth = added.penalty - alone.penalty
    figures: Figures = {"the additive penalties add, nats": round(growth, 2), "promised": first}
    evidence: dict[str, Any] = {"figures": figures, "exchanges": added.exchanges, "weak": not scale.raw}
    if abs(growth - first) <= TOLERANCE:
        return honoured(**evidence)
    if abs(growth - first / REPETITION) <= TOLERANCE:
        return differs("repetition_penalty acts after the additive penalties", **evidence)
    return cant_tell("the penalties don't act as each of them should alone", **evidence)


ON_A_BALANCE = (
    "At temperature 0, logit_bias lifts two tokens above all others. The difference in bias at which the choice "
    "between them flips weighs the penalty in nats: "
)


def prompt_check(parameter: str, value: float) -> Check:
    return Check(
        f"{parameter}.prompt",
        parameter,
        f"Does {parameter} count the answer only, not the prompt?",
        ON_A_BALANCE + f"that of the first token, on a prompt that contains it {TIMES_IN_PROMPT} times.",
        tokens=1500,
        run=check_prompt(parameter, value),
        requires=("logit_bias", parameter),
    )


CHECKS: tuple[Check, ...] = (
    Check(
        "frequency_penalty",
        "frequency_penalty",
        "Is the penalty subtracted once for each time that a token came?",
        ON_A_BALANCE + f"after one token, and in a row of {ROW}.",
        tokens=1500,
        run=check_additive("frequency_penalty", OCCURRENCES),
    ),
    prompt_check("frequency_penalty", 1.0),
    Check(
        "frequency_penalty.window",
        "frequency_penalty",
        "Are all tokens of the answer counted, however long ago they came?",
        ON_A_BALANCE
        + f"in a row of {LONG_ROWS[0][0]}, longer than the window of {USUAL_WINDOW} that some servers count.",
        tokens=1500,
        run=check_window,
        requires=("logprobs", "logit_bias", "frequency_penalty"),
    ),
    Check(
        "presence_penalty",
        "presence_penalty",
        "Is the penalty subtracted once from each token that came, however often?",
        ON_A_BALANCE + f"after one token, and in a row of {ROW}.",
        tokens=2000,
        run=check_additive("presence_penalty", PRESENCE),
    ),
    prompt_check("presence_penalty", SIZE),
    Check(
        "repetition_penalty",
        "repetition_penalty",
        "Are logits of tokens that came divided by the penalty if positive, and multiplied if negative, once?",
        ON_A_BALANCE + "with two biases, because the known bias is divided too. Negative logits: at temperature 0, no "
        "repeat may be chosen where a new token is more probable.",
        tokens=2000,
        run=check_repetition,
    ),
    prompt_check("repetition_penalty", 1.5),
    Check(
        "repetition_penalty.order",
        "repetition_penalty",
        "Does repetition_penalty act before the additive penalties?",
        ON_A_BALANCE + "with repetition_penalty alone and with all three.",
        tokens=1500,
        run=check_order,
        requires=("logprobs", "logit_bias", "frequency_penalty", "presence_penalty", "repetition_penalty"),
    ),
)
