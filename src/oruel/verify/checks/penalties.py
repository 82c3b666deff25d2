"""frequency_penalty, presence_penalty and repetition_penalty: weighed in nats, on a balance of logit_bias."""

from collections.abc import Awaitable, Callable
from typing import Any

from oruel.verify.balance import PRECISION, PROMPT, Balance, Pair, Token, Weight, find_rivals
from oruel.verify.check import Check
from oruel.verify.checks.greedy_penalties import NO_LAW, check_by_greedy_choices, choose_greedily, find_rewarded_repeat
from oruel.verify.checks.steps import if_repeatable
from oruel.verify.penalty_laws import IGNORED, LAWS, OCCURRENCES, PRESENCE, PROMISED, SHARE, Law
from oruel.verify.penalty_scale import ADDITIVE_BIAS, ROW, TOLERANCE, Point, Scale, default_penalty, find_scale
from oruel.verify.probe import PROMPTS, Probe, user
from oruel.verify.verdict import Figures, Outcome, Verdict, cant_tell, differs, honoured, ignored, refused
from oruel.verify.vocabulary import tokenize

SIZE = 2.0
# Logits may be of any size, but bias is known: the effect of repetition_penalty on it doesn't depend on them.
LARGE_BIAS, SMALL_BIAS = 100.0, 60.0
REPETITION = 2.0
TIMES_IN_PROMPT = 20
# Rows longer than the window that llama.cpp counts, each with a penalty whose sum stays on the scale, and a precision.
USUAL_WINDOW = 64
LONG_ROWS = ((90, 0.75, 1.0), (180, 0.5, PRECISION))
WITHIN_TOKENS = 2.5
# The model's own lead of a token over another doesn't change by more than this along a row, in nats. A row that breaks
# early, although a penalty that counts all would have grown by more, shows that it stopped growing.
MOST_LEAD = 40.0


def check_additive(parameter: str) -> Callable[[Probe], Awaitable[Verdict]]:
    promised = PROMISED[parameter]

    async def run(probe: Probe) -> Verdict:
        if refusal := await try_value(probe, parameter, SIZE):
            return refusal
        scale = await find_scale(probe) if "logit_bias" in probe.facts.accepts else None
        if scale is None:
            return await check_by_greedy_choices(probe, parameter)
        points = await scale.points(**{parameter: SIZE})
        fitting = [name for name, law in LAWS.items() if fits(law, points)]
        if not points or {OCCURRENCES, PRESENCE} <= set(fitting):
            return await judge_unweighed(scale, parameter, points)
        evidence = evidence_of(points, weak=not scale.raw)
        if promised in fitting:
            return honoured(**evidence)
        if IGNORED in fitting:
            return ignored("repeated tokens are as probable as without it", **evidence)
        names = await narrow(probe, parameter, fitting)
        return differs(", or ".join(names) if names else await describe(scale, parameter, points), **evidence)

    return run


async def narrow(probe: Probe, parameter: str, fitting: list[str]) -> list[str]:
    """In a row of one token, a share of the output is the same as presence. Choices in other texts tell more."""
    if len(fitting) < 2 or not probe.facts.top_logprobs:
        return fitting
    chosen = (await choose_greedily(probe, parameter)).fitting
    return [name for name in fitting if name in chosen] or fitting


async def judge_unweighed(scale: Scale, parameter: str, points: list[Point]) -> Verdict:
    """No row broke after more than one token. Where choices can't tell either, or something else acts on them too, the
    growth of a row may.
    """
    chosen = await check_by_greedy_choices(scale.probe, parameter, [name for name in LAWS if fits(LAWS[name], points)])
    if chosen.outcome is not Outcome.CANT_TELL and chosen.how != NO_LAW:
        return chosen
    grown = await judge_growth(scale, parameter, points)
    return chosen if grown.outcome is Outcome.CANT_TELL and chosen.how == NO_LAW else grown


async def judge_growth(scale: Scale, parameter: str, points: list[Point]) -> Verdict:
    """A penalty that counts presence adds at most its size to the gap of a row, however long. One that counts
    occurrences adds more, unless the model prefers the repeated token ever more. `points` tell that it acts at all, and
    not twice.
    """
    most = (SIZE if points else 2 * SIZE) + 2 * TOLERANCE
    growth = await scale.growth(2 * ROW, most, **{parameter: SIZE})
    evidence = evidence_of(points, weak=True)
    if growth is None:
        return cant_tell("the tokens can't be weighed in a row", **evidence)
    evidence["figures"][f"added to a row of {2 * ROW}, nats"] = round(growth.nats, 2)
    evidence["exchanges"] = growth.exchanges
    if growth.nats < -TOLERANCE:
        return differs("the sign is reversed", **evidence)
    if growth.nats <= most and not points:
        return cant_tell("the tokens that were weighed change places by themselves", **evidence)
    laws = [OCCURRENCES] if growth.nats > most else [PRESENCE, SHARE]
    return honoured(**evidence) if PROMISED[parameter] in laws else differs(", or ".join(laws), **evidence)


async def describe(scale: Scale, parameter: str, points: list[Point]) -> str:
    """Names a penalty that follows no law: one that multiplies depends on the bias."""
    other = await scale.point(scale.successor, 2, bias=ADDITIVE_BIAS + 20, **{parameter: SIZE})
    same = next((one for one in points if other and one.count == other.count), None)
    if other and same and abs(other.penalty - same.penalty) > 2 * TOLERANCE:
        return "it multiplies logits, as repetition_penalty does"
    return f"the penalty is {points[-1].penalty:.1f} after {points[-1].count} occurrences"


def fits(law: Law, points: list[Point]) -> bool:
    """In a row of one token, that token is all of the output."""
    return all(abs(point.penalty - SIZE * law(point.count, point.count)) <= TOLERANCE for point in points)


def evidence_of(points: list[Point], weak: bool = False) -> dict[str, Any]:
    figures: Figures = {f"penalty after {one.count}, nats": round(one.penalty, 2) for one in points}
    return {"figures": figures, "exchanges": points[-1].exchanges if points else (), "weak": weak}


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
    if once is None or not near(taken_away(once), 1 - 1 / REPETITION):
        absence = await judge_absence(scale)
        if once is None or near(taken_away(once), 0) or absence.outcome is Outcome.IGNORED:
            return absence
    for pair in (scale.rivals, scale.rivals.turned):
        often = await weigh_multiplied(scale, pair, 4)
        if often and often[0].position > 1:
            break
    return judge_repetition(once, often)


async def weigh_multiplied(scale: Scale, pair: Pair, row: int) -> tuple[Weight, Weight] | None:
    """With the large and the small bias, if the row breaks at the same place."""
    large, small = [
        await Balance(scale.probe, pair, bias=bias).weigh(row, repetition_penalty=REPETITION)
        for bias in (LARGE_BIAS, SMALL_BIAS)
    ]
    return None if large.clipped or small.clipped or large.position != small.position else (large, small)


def taken_away(weights: tuple[Weight, Weight]) -> float:
    """The share of the logit."""
    large, small = weights
    return (large.gap - small.gap) / (LARGE_BIAS - SMALL_BIAS)


async def judge_absence(scale: Scale) -> Verdict:
    """Whether the penalty changes anything, where it doesn't take the promised share of the bias away."""
    balance = Balance(scale.probe, scale.successor, bias=ADDITIVE_BIAS)
    plain, penalised = await balance.weigh(2), await balance.weigh(2, repetition_penalty=REPETITION)
    figures: Figures = {"penalty, nats": round(penalised.gap - plain.gap, 2), "bias": ADDITIVE_BIAS}
    if plain.clipped or penalised.clipped:
        return cant_tell("the tokens can't be weighed", exchanges=penalised.exchanges)
    if abs(penalised.gap - plain.gap) > TOLERANCE:
        return differs("it acts before logit_bias", figures=figures, exchanges=penalised.exchanges)
    how = "repeated tokens are as probable as without it"
    return ignored(how, figures=figures, exchanges=penalised.exchanges)


def judge_repetition(once: tuple[Weight, Weight], often: tuple[Weight, Weight] | None) -> Verdict:
    """A row that breaks after one token, as without a penalty, shows that later ones weren't penalised more."""
    share, promised = taken_away(once), 1 - 1 / REPETITION
    figures: Figures = {"share of the logit taken away": round(share, 3), "promised": promised}
    evidence: dict[str, Any] = {"figures": figures, "exchanges": once[0].exchanges}
    if near(share, 1 - 1 / REPETITION**2):
        return differs("it acts twice", **evidence)
    if near(share, 1 - REPETITION):
        return differs("logits are multiplied, not divided", **evidence)
    if not near(share, promised):
        return differs(f"it takes {share:.2f} of the logit away", **evidence)
    if often:
        count, later = often[0].position, taken_away(often)
        figures[f"share after {count} occurrences"] = round(later, 3)
        if count > 1 and near(later, 1 - REPETITION**-count):
            return differs("it acts once for each time a token came", **evidence)
    return honoured(**evidence)


def near(share: float, expected: float) -> bool:
    return abs(share - expected) <= 0.03


def check_prompt(parameter: str, value: float) -> Callable[[Probe], Awaitable[Verdict]]:
    """Weighs the first token, before which nothing was generated, on a prompt that repeats it."""

    async def run(probe: Probe) -> Verdict:
        if refusal := await try_value(probe, parameter, value):
            return refusal
        rivals = await find_rivals(probe)
        if rivals is None:
            return cant_tell("no tokens were found that logit_bias brings about")
        prompt = repeating_prompt(rivals.weighed)
        ids = await tokenize(probe.endpoint, prompt)
        times = ids.count(rivals.weighed.id) if ids else TIMES_IN_PROMPT
        if times < TIMES_IN_PROMPT / 2:
            return cant_tell("the prompt can't be made to contain the token")
        balance = Balance(probe, rivals, prompt, ADDITIVE_BIAS)
        plain, weight = await balance.weigh(1), await balance.weigh(1, **{parameter: value})
        penalty = weight.gap - plain.gap
        figures: Figures = {"in the prompt": rivals.weighed.text, "times": times, "penalty, nats": round(penalty, 2)}
        evidence: dict[str, Any] = {"figures": figures, "exchanges": weight.exchanges}
        if plain.clipped:
            return cant_tell("the tokens can't be weighed on this prompt", **evidence)
        if abs(penalty) <= TOLERANCE:
            acts = await changes_a_row(balance, parameter, value) or await changes_an_answer(probe, parameter, value)
            return honoured(**evidence) if acts else cant_tell("the penalty changes no answer", **evidence)
        return differs("the prompt is counted", **evidence)

    return run


async def changes_a_row(balance: Balance, parameter: str, value: float) -> bool:
    plain, weight = await balance.weigh(ROW), await balance.weigh(ROW, **{parameter: value})
    return abs(weight.gap - plain.gap) > TOLERANCE


async def changes_an_answer(probe: Probe, parameter: str, value: float) -> bool:
    for prompt in PROMPTS:
        asked = probe.neutral(temperature=0, max_tokens=32, messages=user(prompt))
        plain, penalised = await probe.chat(**asked), await probe.chat(**{**asked, parameter: value})
        if plain.whole_text != penalised.whole_text:
            return True
    return False


def repeating_prompt(token: Token) -> str:
    """Tokens with a space before them follow each other, others stand at the beginning of a line."""
    if token.text.startswith(" "):
        return PROMPT + token.text * TIMES_IN_PROMPT
    return f"{PROMPT}\n" + f"{token.text}\n" * TIMES_IN_PROMPT


async def check_window(probe: Probe) -> Verdict:
    """A penalty that counts all of a long row is larger than one that counts its last 64 tokens. Where the row broke
    early, both are the same: then a longer one tells.
    """
    rivals = await find_rivals(probe)
    if rivals is None:
        return cant_tell("no tokens were found that logit_bias brings about")
    balance = Balance(probe, rivals, bias=LARGE_BIAS)
    for row, penalty, precision in LONG_ROWS:
        weight = await balance.weigh(row, precision, frequency_penalty=penalty)
        if weight.clipped or weight.penalty is None:
            return cant_tell("the tokens can't be weighed in a long row", exchanges=weight.exchanges)
        counted, missing = weight.penalty / penalty, (row - 1 - weight.position) * penalty
        if weight.position > USUAL_WINDOW:
            break
    if abs(counted - weight.position) > WITHIN_TOKENS:
        counted -= await default_penalty(probe, rivals, LARGE_BIAS) / penalty
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
    if abs(alone.penalty) <= TOLERANCE:
        return cant_tell("repetition_penalty doesn't act", exchanges=alone.exchanges)
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
        run=if_repeatable(check_prompt(parameter, value)),
        requires=("logit_bias", parameter),
    )


CHECKS: tuple[Check, ...] = (
    Check(
        "frequency_penalty",
        "frequency_penalty",
        "Is the penalty subtracted once for each time that a token came?",
        ON_A_BALANCE + f"after one token, and in a row of {ROW}.",
        tokens=1500,
        run=if_repeatable(check_additive("frequency_penalty")),
    ),
    prompt_check("frequency_penalty", 1.0),
    Check(
        "frequency_penalty.window",
        "frequency_penalty",
        "Are all tokens of the answer counted, however long ago they came?",
        ON_A_BALANCE
        + f"in a row of {LONG_ROWS[0][0]}, longer than the window of {USUAL_WINDOW} that some servers count.",
        tokens=1500,
        run=if_repeatable(check_window),
        requires=("logprobs", "logit_bias", "frequency_penalty"),
    ),
    Check(
        "presence_penalty",
        "presence_penalty",
        "Is the penalty subtracted once from each token that came, however often?",
        ON_A_BALANCE + f"after one token, and in a row of {ROW}.",
        tokens=2000,
        run=if_repeatable(check_additive("presence_penalty")),
    ),
    prompt_check("presence_penalty", SIZE),
    Check(
        "repetition_penalty",
        "repetition_penalty",
        "Are logits of tokens that came divided by the penalty if positive, and multiplied if negative, once?",
        ON_A_BALANCE + "with two biases, because the known bias is divided too. Negative logits: at temperature 0, no "
        "repeat may be chosen where a new token is more probable.",
        tokens=2000,
        run=if_repeatable(check_repetition),
    ),
    prompt_check("repetition_penalty", 1.5),
    Check(
        "repetition_penalty.order",
        "repetition_penalty",
        "Does repetition_penalty act before the additive penalties?",
        ON_A_BALANCE + "with repetition_penalty alone and with all three.",
        tokens=1500,
        run=if_repeatable(check_order),
        requires=("logprobs", "logit_bias", "frequency_penalty", "presence_penalty", "repetition_penalty"),
    ),
)
