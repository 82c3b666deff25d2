"""How a token was chosen: what each step of the order did to the leading candidates, and the draw (docs/trace.md).

Recomputed step by step in float64, unlike the sampler, which merges and reorders steps for speed.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from oruel.sampling.candidates import Candidates, SamplingStep, largest
from oruel.sampling.filters import MinP, TopP
from oruel.types import (
    CandidateTrace,
    DrawTrace,
    EntropyChange,
    LogitHistogram,
    SamplingParams,
    TokenCount,
    TokenSource,
    TokenTrace,
)

Row = NDArray[np.float64]

BINS = 64
# The logits that a histogram spans at most.
SPAN = 32.0
# Between these, weights lose no precision.
MIN_SCALE, MAX_SCALE = 1e-200, 1e200


@dataclass(frozen=True)
class Choice:
    """A chosen token and what the choice depended on: the model's `logits`, the `counts` of the tokens of the output so
    far, and the tokens `allowed` by a constraint, if any. The token was drawn from the candidates `left` by the uniform
    number `u`; without a draw, both are None.
    """

    token: int
    source: TokenSource
    logits: NDArray[np.float32]
    counts: Mapping[int, int]
    allowed: NDArray[np.bool_] | None
    left: Candidates | None
    u: float | None


@dataclass(frozen=True)
class Distribution:
    """Logits, −∞ for tokens that were removed, and weights that are proportional to the probabilities."""

    logits: Row
    base: float
    weights: Row

    @classmethod
    def of(cls, logits: Row, temperature: float = 1.0) -> "Distribution":
        base = float(logits.max())
        with np.errstate(over="ignore"):
            return cls(logits, base, np.exp((logits - base) / temperature))

    def change(self, tokens: NDArray[np.intp] | NDArray[np.bool_], logits: Row | float) -> "Distribution":
        """Replaces the logits of some tokens. Only their exponentials are computed, unless the scale changes much."""
        changed, weights = self.logits.copy(), self.weights.copy()
        changed[tokens] = logits
        with np.errstate(over="ignore"):
            weights[tokens] = np.exp(changed[tokens] - self.base)
        is_in_scale = MIN_SCALE < weights.max() < MAX_SCALE
        return Distribution(changed, self.base, weights) if is_in_scale else Distribution.of(changed)

    def keep(self, kept: NDArray[np.bool_]) -> "Distribution":
        return Distribution(np.where(kept, self.logits, -np.inf), self.base, np.where(kept, self.weights, 0.0))

    @cached_property
    def probabilities(self) -> Row:
        probabilities: Row = self.weights / self.weights.sum()
        return probabilities

    @property
    def entropy(self) -> float:
        """In bits."""
        positive = self.probabilities[self.probabilities > 0]
        return float(-(positive @ np.log2(positive))) + 0.0


def trace(choice: Choice, params: SamplingParams, top: int) -> TokenTrace:
    """`top`: how many leading candidates to report, of each kind."""
    model = final = penalised = Distribution.of(choice.logits.astype(np.float64))
    after: dict[str, Distribution] = {}
    for step, final in change_logits(model, choice, params):
        after[step] = penalised = final
    for step, final in filter_tokens(penalised, params):
        after[step] = final
    ids = leading_candidates(choice, penalised.logits, top)
    ids.sort(key=lambda id: (-final.weights[id], -model.weights[id], id))
    allowed = np.ones(len(choice.logits), np.bool_) if choice.allowed is None else choice.allowed
    survivors = final.logits > -np.inf
    survivors[choice.token] = True
    return TokenTrace(
        source=choice.source,
        vocabulary_size=len(choice.logits),
        steps=list(after),
        candidates=[trace_candidate(id, choice, params, model, after) for id in ids],
        survivors=count_tokens(survivors, model),
        allowed=count_tokens(allowed, model),
        rest=histogram_of_rest(model, allowed, ids),
        draw=trace_draw(choice),
        entropy=EntropyChange(model.entropy, final.entropy),
    )


def change_logits(model: Distribution, choice: Choice, params: SamplingParams) -> Iterator[tuple[str, Distribution]]:
    """Steps 1 to 3: the name of each active one, and the distribution after it."""
    now = model
    if choice.allowed is not None:
        now = keep_allowed(now, choice.allowed)
        yield "mask", now
    if params.logit_bias:
        biased = np.fromiter(params.logit_bias.keys(), np.intp, len(params.logit_bias))
        biases = np.fromiter(params.logit_bias.values(), np.float64, len(params.logit_bias))
        now = now.change(biased, now.logits[biased] + biases)
        yield "logit_bias", now
    tokens = np.fromiter(choice.counts.keys(), np.intp, len(choice.counts))
    counts = np.fromiter(choice.counts.values(), np.float64, len(choice.counts))
    if params.repetition_penalty != 1:
        logits, factor = now.logits[tokens], params.repetition_penalty
        now = now.change(tokens, np.where(logits > 0, logits / factor, logits * factor))
        yield "repetition_penalty", now
    if params.frequency_penalty:
        now = now.change(tokens, now.logits[tokens] - params.frequency_penalty * counts)
        yield "frequency_penalty", now
    if params.presence_penalty:
        now = now.change(tokens, now.logits[tokens] - params.presence_penalty)
        yield "presence_penalty", now


def keep_allowed(model: Distribution, allowed: NDArray[np.bool_]) -> Distribution:
    """Without the other tokens. If the model rules out all that are allowed, the lowest id is kept."""
    masked = model.change(~allowed, -np.inf) if model.logits[allowed].max() > -np.inf else None
    return masked or Distribution.of(np.where(np.arange(len(allowed)) == allowed.argmax(), 0.0, -np.inf))


def filter_tokens(before: Distribution, params: SamplingParams) -> Iterator[tuple[str, Distribution]]:
    """Steps 4 to 7. Nothing follows a step that leaves one token."""
    if params.temperature == 0:
        yield "temperature", before.keep(np.arange(len(before.logits)) == before.logits.argmax())
        return
    now = Distribution.of(before.logits, params.temperature)
    if params.temperature != 1:
        yield "temperature", now
    if 0 < params.top_k < len(now.logits):
        kept = np.zeros(len(now.logits), np.bool_)
        kept[largest(now.logits, params.top_k)] = True
        now = now.keep(kept)
        yield "top_k", now
        if params.top_k == 1:
            return
    if params.top_p < 1:
        now = now.keep(remaining(now, TopP(params.top_p)))
        yield "top_p", now
        if params.top_p == 0:
            return
    if params.min_p > 0:
        now = now.keep(remaining(now, MinP(params.min_p)))
        yield "min_p", now


def remaining(before: Distribution, step: SamplingStep) -> NDArray[np.bool_]:
    """The tokens that a filter leaves."""
    ids = np.flatnonzero(before.weights)
    kept = np.zeros(len(before.weights), np.bool_)
    kept[ids] = step(Candidates(ids, before.weights[ids])).values > 0
    return kept


def leading_candidates(choice: Choice, penalised: Row, top: int) -> list[int]:
    """The distinct ids of the leading tokens before and after the penalties, of the leading ones that the output
    already contains, which other penalties would change, and of the chosen one.
    """
    before = [int(id) for id in largest(choice.logits, top) if choice.logits[id] > -np.inf]
    after = [int(id) for id in largest(penalised, top) if penalised[id] > -np.inf]
    seen = [id for id in choice.counts if choice.logits[id] > -np.inf]
    seen = sorted(seen, key=lambda id: (-choice.logits[id], id))[:top]
    return list({*before, *after, *seen, choice.token})


def trace_candidate(
    id: int, choice: Choice, params: SamplingParams, model: Distribution, after: Mapping[str, Distribution]
) -> CandidateTrace:
    logit = float(choice.logits[id])
    removals = (step for step, now in after.items() if now.logits[id] == -np.inf < model.logits[id])
    return CandidateTrace(
        id=id,
        logit=logit if math.isfinite(logit) else None,
        bias=params.logit_bias.get(id, 0.0),
        count=choice.counts.get(id, 0),
        probability=float(model.probabilities[id]),
        after=[float(now.probabilities[id]) for now in after.values()],
        # The sampler may keep a token within 1e-6 of a bound that this computation doesn't keep.
        removed_by=None if id == choice.token else next(removals, None),
    )


def count_tokens(tokens: NDArray[np.bool_], model: Distribution) -> TokenCount:
    return TokenCount(int(np.count_nonzero(tokens)), min(1.0, float(model.probabilities[tokens].sum())))


def histogram_of_rest(model: Distribution, allowed: NDArray[np.bool_], ids: list[int]) -> LogitHistogram | None:
    rest = allowed & (model.logits > -np.inf)
    rest[ids] = False
    logits = model.logits[rest]
    if not len(logits):
        return None
    high = float(logits.max())
    low = max(float(logits.min()), high - SPAN)
    width = high - low
    bins = (
        np.clip((logits - low) / width * BINS, 0, BINS - 1).astype(np.intp) if width else np.zeros(len(logits), np.intp)
    )
    return LogitHistogram(
        low=low,
        high=high,
        counts=np.bincount(bins, minlength=BINS).tolist(),
        masses=np.bincount(bins, model.probabilities[rest], minlength=BINS).tolist(),
    )


def trace_draw(choice: Choice) -> DrawTrace | None:
    """The interval comes from the weights that the sampler drew from, so that it contains `u`."""
    if choice.left is None or choice.u is None:
        return None
    index = place_of(choice.token, choice.left)
    cumulative = np.cumsum(choice.left.values, dtype=np.float64)
    low = float(cumulative[index - 1] / cumulative[-1]) if index else 0.0
    high = float(cumulative[index] / cumulative[-1])
    # A draw sums in blocks, which may round a bound differently in the last bits.
    return DrawTrace(choice.u, min(low, choice.u), max(high, math.nextafter(choice.u, 1.0)))


def place_of(token: int, candidates: Candidates) -> int:
    return token if candidates.ids is None else int(np.searchsorted(candidates.ids, token))
