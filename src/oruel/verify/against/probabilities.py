"""Compares the log-probabilities that two endpoints report for the first token of an answer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

from oruel.verify.against.pair import Pair
from oruel.verify.against.prompts import PROMPTS
from oruel.verify.probe import distinct, user
from oruel.verify.reply import Json, Reply, as_count
from oruel.verify.verdict import Verdict, cant_tell, differs, same

LogProbabilities = dict[str, float]

# Mean divergences in nats. Other arithmetic (a GPU, 16-bit activations, another batch) stays below the first, and what
# lies between may also come from 8-bit weights.
ROUNDING, AMBIGUOUS = 0.0005, 0.004
# What quantised weights change, on average over text, with Llama 3 8B: q8_0 0.0014, q6_K 0.0057, q5_K_M 0.011, q4_K_M
# 0.031, q3_K_M 0.10, q2_K 0.45 (tools/perplexity/README.md of llama.cpp). The bounds lie between them.
PRECISIONS = ((0.003, "8-bit"), (0.008, "6-bit"), (0.018, "5-bit"), (0.06, "4-bit"), (0.2, "3-bit"))
# Probabilities that aren't reported are at least this, together.
FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class Quartet:
    """What both endpoints reported for one prompt, each asked twice. `prompt` is its index."""

    prompt: int
    ours: tuple[LogProbabilities, LogProbabilities]
    theirs: tuple[LogProbabilities, LogProbabilities]

    @property
    def own(self) -> float:
        """How much each endpoint differs from itself, summed."""
        return distance(*self.ours) + distance(*self.theirs)

    @property
    def between(self) -> tuple[float, float]:
        """The same for the two ways to pair our answers with theirs."""
        (a, b), (c, d) = self.ours, self.theirs
        return distance(a, c) + distance(b, d), distance(a, d) + distance(b, c)

    @property
    def is_split(self) -> bool:
        """Whether each endpoint agrees with itself more than with the other. If they are the same, the four answers are
        exchangeable, and this is one of three equally likely pairings.
        """
        return self.own < min(self.between)

    @property
    def divergence(self) -> float:
        return divergence(self.ours[0], self.theirs[0])

    @property
    def own_divergence(self) -> float:
        return max(divergence(*self.ours), divergence(*self.theirs))

    @property
    def largest(self) -> float:
        ours, theirs = self.ours[0], self.theirs[0]
        return max((abs(ours[token] - theirs[token]) for token in ours.keys() & theirs.keys()), default=0.0)


def divergence(ours: LogProbabilities, theirs: LogProbabilities) -> float:
    """The Kullback-Leibler divergence in nats, of the tokens that both list and all others as one: a lower bound of
    that of the whole distributions.
    """
    common = ours.keys() & theirs.keys()
    terms = [math.exp(ours[token]) * (ours[token] - theirs[token]) for token in common]
    rests = [max(FLOOR, 1 - math.fsum(math.exp(one[token]) for token in common)) for one in (ours, theirs)]
    return max(0.0, math.fsum(terms) + rests[0] * math.log(rests[0] / rests[1]))


def distance(one: LogProbabilities, other: LogProbabilities) -> float:
    """The total variation distance, as far as the listed tokens show it."""
    return math.fsum(abs(p_of(one, token) - p_of(other, token)) for token in one.keys() | other.keys()) / 2


def p_of(one: LogProbabilities, token: str) -> float:
    return math.exp(one[token]) if token in one else 0.0


def split_p_value(splits: int, prompts: int) -> float:
    """The probability of so many splits or more, each with a probability of at most 1/3."""
    return min(
        1.0, math.fsum(comb(prompts, k) * (1 / 3) ** k * (2 / 3) ** (prompts - k) for k in range(splits, prompts + 1))
    )


async def compare_probabilities(pair: Pair) -> Verdict:
    ours, theirs = await pair.ask_both(first_token_requests(pair))
    found = quartets(ours, theirs)
    if not found:
        return cant_tell("the endpoints report no log-probabilities of the same tokens")
    mean = math.fsum(one.divergence for one in found) / len(found)
    own = math.fsum(one.own_divergence for one in found) / len(found)
    worst = max(found, key=lambda one: one.divergence).prompt
    evidence = {
        "figures": {
            "method": "log-probabilities",
            "prompts": len(found),
            "mean divergence in nats": mean,
            "each from itself": own,
            "largest difference in nats": max(one.largest for one in found),
            **prompt_sizes(ours[0], theirs[0]),
        },
        "p_value": split_p_value(sum(one.is_split for one in found), len(found)),
        "exchanges": pair.exchanges(ours[worst], theirs[worst]),
    }
    return judge(mean, own, pair.probe.alpha, evidence)


def first_token_requests(pair: Pair) -> list[Json]:
    """All prompts, and then all of them again, in other batches."""
    fields = pair.neutral(temperature=1, max_tokens=1, logprobs=True, top_logprobs=pair.top_logprobs)
    return [{"messages": user(prompt), **fields} for _ in range(2) for prompt in PROMPTS]


def quartets(ours: Sequence[Reply], theirs: Sequence[Reply]) -> list[Quartet]:
    """Leaves out prompts that aren't answered by both."""
    count = len(ours) // 2
    first, second = ([(reported(one[i]), reported(one[i + count])) for i in range(count)] for one in (ours, theirs))
    both = enumerate(zip(first, second, strict=True))
    return [Quartet(prompt, a, b) for prompt, (a, b) in both if all((*a, *b))]


def reported(reply: Reply) -> LogProbabilities:
    tokens = reply.tokens()
    return {token: min(log, 0.0) for token, log in distinct(tokens[0].top)} if tokens else {}


def prompt_sizes(ours: Reply, theirs: Reply) -> dict[str, int]:
    """Where they differ, a chat template or a hidden system prompt does."""
    own, other = (as_count(reply.usage.get("prompt_tokens")) for reply in (ours, theirs))
    if own is None or other is None or own == other:
        return {}
    return {"prompt tokens": own, "prompt tokens of the other": other}


def judge(mean: float, own: float, alpha: float, evidence: dict[str, object]) -> Verdict:
    p_value = evidence["p_value"]
    if mean <= ROUNDING:
        return same("the log-probabilities are equal up to rounding; 8-bit weights would show", **evidence)
    if not isinstance(p_value, float) or p_value > alpha or mean <= own:
        return cant_tell("each endpoint's log-probabilities vary as much as those of both differ", **evidence)
    if mean <= AMBIGUOUS:
        return cant_tell("the log-probabilities differ as little as with 8-bit weights or other hardware", **evidence)
    return differs(f"the log-probabilities differ {resembling(mean)}", **evidence)


def resembling(mean: float) -> str:
    precision = next((name for bound, name in PRECISIONS if mean <= bound), None)
    return f"about as {precision} weights change an 8B model's" if precision else "more than 3-bit weights change them"
