"""Compares answers: texts that should be equal, at temperature 0 or with the same seeds, and drawn ones."""

import math
from collections.abc import Sequence

import numpy as np

from oruel.verify.against.pair import Pair, groups
from oruel.verify.against.permutations import Values, permutation_p_value
from oruel.verify.against.prompts import PROMPTS
from oruel.verify.against.texts import Parting, observe_parting, parting, parting_test
from oruel.verify.against.two_sample import TwoSampleTest
from oruel.verify.probe import user
from oruel.verify.reply import Json, Reply
from oruel.verify.statistics import RatioTest
from oruel.verify.verdict import Verdict, cant_tell, differs, same

GREEDY_TOKENS, DRAWN_TOKENS = 40, 16
# Texts that show whether an endpoint repeats itself.
REPEATED = 4
AT_ONCE = 6
# Seeds for each prompt; the first prompts show whether seeds mean the same to both.
SEEDS, PROMPTS_FOR_SEEDS = 5, 12
# Answers to each prompt, from each endpoint, at which drawn answers are compared.
LOOKS = (2, 4, 8, 16, 32)
# If only larger shares of other answers would be noticed, nothing can be told.
LARGEST_SHARE = 0.5


async def compare_greedy(pair: Pair) -> Verdict | None:
    """Texts at temperature 0. None if an endpoint doesn't repeat its own."""
    fields = pair.neutral(temperature=0, max_tokens=GREEDY_TOKENS)
    requests = [{"messages": user(prompt), **fields} for prompt in PROMPTS]
    first = await pair.ask_both(requests[:REPEATED])
    again = await pair.ask_both(requests[:REPEATED])
    if any(one.whole_text != two.whole_text for i in (0, 1) for one, two in zip(first[i], again[i], strict=True)):
        return None
    test = parting_test(pair.probe.alpha)
    ours, theirs = first
    observe_all(pair, test, ours, theirs)
    for some in groups(requests[REPEATED:], AT_ONCE):
        if test.is_decided:
            break
        more = await pair.ask_both(some)
        observe_all(pair, test, *more)
        ours, theirs = ours + more[0], theirs + more[1]
    return judge_texts(pair, test, "texts at temperature 0", ours, theirs)


async def compare_seeds(pair: Pair, fields: Json, alpha: float) -> Verdict | None:
    """Texts drawn with the same seeds. None if the seeds don't mean the same to both, so that equal models would give
    different texts too. The probability of taking their meaning for the same by mistake is at most `alpha`, and so is
    that of a false alarm if it is the same.
    """
    if "seed" not in pair.accepts:
        return None
    prompts = PROMPTS[:PROMPTS_FOR_SEEDS]
    seeds = [pair.probe.seed() for _ in range(SEEDS)]
    requests = [
        {"messages": user(prompt), "max_tokens": DRAWN_TOKENS, "seed": seed, **fields}
        for prompt in prompts
        for seed in seeds
    ]
    ours, theirs = await pair.ask_both(requests)
    generator = np.random.default_rng(pair.probe.random.getrandbits(64))
    if coupling_p_value(texts_of(pair, ours), texts_of(pair, theirs), alpha, generator) > alpha:
        return None
    test = parting_test(alpha)
    observe_all(pair, test, ours, theirs)
    return judge_texts(pair, test, "the same seeds", ours, theirs)


def coupling_p_value(ours: Sequence[str], theirs: Sequence[str], level: float, random: np.random.Generator) -> float:
    """Whether answers with the same seed go together for longer than answers to the same prompt with different ones.
    Permutes the seeds within each prompt; small if the seeds mean the same to both endpoints.
    """
    lengths = [
        np.array([[float(parting(a, b).together) for b in theirs[i : i + SEEDS]] for a in ours[i : i + SEEDS]])
        for i in range(0, len(ours), SEEDS)
    ]

    def draw(count: int) -> Values:
        rows = np.arange(SEEDS)
        orders = np.tile(rows, (count, 1))
        shuffled = (one[rows, random.permuted(orders, axis=1)].sum(axis=1) for one in lengths)
        return np.asarray(sum(shuffled))

    return permutation_p_value(float(sum(np.trace(one) for one in lengths)), draw, level)


async def compare_draws(pair: Pair, fields: Json, alpha: float) -> Verdict:
    """Answers drawn with different seeds: a two-sample test of their distributions."""
    test = TwoSampleTest(alpha, len(LOOKS), pair.probe.random)
    done = 0
    shown: tuple[Reply, Reply] | None = None
    for size in LOOKS:
        ours, theirs = await pair.ask(
            drawn_requests(pair, size - done, fields), drawn_requests(pair, size - done, fields)
        )
        shown = shown or (ours[0], theirs[0])
        for prompt, mine, others in zip(PROMPTS, by_prompt(pair, ours), by_prompt(pair, theirs), strict=True):
            test.observe(prompt, mine, others)
        done = size
        if test.look():
            break
    figures = {"method": "a two-sample test of drawn answers", "prompts": len(PROMPTS), "answers of each": test.answers}
    exchanges = pair.exchanges(*shown) if shown else ()
    evidence = {"figures": figures, "p_value": test.p_value, "exchanges": exchanges, "weak": not pair.top_logprobs}
    if test.is_rejected:
        return differs("the answers have different distributions", **evidence)
    share = test.detectable_share() if test.answers else math.inf
    if share > LARGEST_SHARE:
        return cant_tell("the answers are too few or too varied for a comparison", **evidence)
    seen = f"{share:.0%} of answers from elsewhere would show (power 95 %)"
    return same(f"no difference was found; {seen}", **evidence)


def drawn_requests(pair: Pair, count: int, fields: Json) -> list[Json]:
    return [
        {"messages": user(prompt), "max_tokens": DRAWN_TOKENS, **pair.fresh_seed(), **fields}
        for prompt in PROMPTS
        for _ in range(count)
    ]


def by_prompt(pair: Pair, replies: Sequence[Reply]) -> list[list[str]]:
    """Without answers of which max_tokens left nothing."""
    size = len(replies) // len(PROMPTS)
    told = [
        [one for one in some if one.ok and (pair.words_of(one) or one.finish != "length")]
        for some in groups(replies, size)
    ]
    return [texts_of(pair, some) for some in told]


def texts_of(pair: Pair, replies: Sequence[Reply]) -> list[str]:
    return [pair.words_of(reply) for reply in replies]


def observe_all(pair: Pair, test: RatioTest, ours: Sequence[Reply], theirs: Sequence[Reply]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        if one.ok and other.ok:
            observe_parting(test, found_parting(pair, one, other))


def found_parting(pair: Pair, one: Reply, other: Reply) -> Parting:
    shorter = min(one, other, key=lambda reply: len(pair.words_of(reply)))
    return parting(pair.words_of(one), pair.words_of(other), cut=shorter.finish == "length")


def judge_texts(pair: Pair, test: RatioTest, method: str, ours: Sequence[Reply], theirs: Sequence[Reply]) -> Verdict:
    parted = [(one, other) for one, other in zip(ours, theirs, strict=True) if found_parting(pair, one, other).parts]
    shown = parted[0] if parted else (ours[0], theirs[0])
    evidence = {
        "figures": {"method": method, "texts": len(ours), "parted": len(parted), "words compared": test.observed},
        "p_value": test.p_value,
        "exchanges": pair.exchanges(*shown),
    }
    if test.is_rejected:
        return differs(f"texts part after {test.observed / max(1, len(parted)):.0f} words on average", **evidence)
    if test.is_accepted:
        return same("the texts are the same; one word in 12 that differs would show (power 99 %)", **evidence)
    return cant_tell(f"{test.observed} words don't decide it", **evidence)
