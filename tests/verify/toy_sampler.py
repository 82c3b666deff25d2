"""The order of the contract in NumPy, step by step. Planted defects override one step each; that the honest sampler
chooses what the reference chooses is tested in test_toy.py.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from oruel.types import SamplingParams
from tests.sampling.reference import uniform
from tests.verify.toy_model import Logits, Prompt, State, logits_in, state_after

Distribution = tuple[list[int], list[float]]
"""Token ids in order, and the cumulative distribution."""

MAX_CACHED = 4096


class ToySampler:
    order: tuple[str, ...] = ("temperature", "top_k", "top_p", "min_p")

    def __init__(self) -> None:
        self._cached: dict[tuple[object, ...], Distribution] = {}

    def choose(self, prompt: Prompt, output: Sequence[int], params: SamplingParams, choice: int) -> int:
        """The token after `output`."""
        counted = self.counted(prompt, output) if has_penalties(params) else ()
        ids, cumulative = self._distribution(state_after(prompt, output), counted, params)
        if len(ids) == 1:
            return ids[0]
        u = self.uniform(params.seed, choice, len(output))
        return ids[min(bisect_right(cumulative, u), len(ids) - 1)]

    def counted(self, prompt: Prompt, output: Sequence[int]) -> Sequence[int]:
        """The tokens that the penalties count."""
        return output

    def uniform(self, seed: int, choice: int, position: int) -> float:
        return uniform(seed, choice, position)

    def penalise(self, logits: Logits, counted: Sequence[int], params: SamplingParams) -> Logits:
        logits = logits.copy()
        for token, count in Counter(counted).items():
            logit = logits[token]
            logit = logit / params.repetition_penalty if logit > 0 else logit * params.repetition_penalty
            logits[token] = logit - (params.frequency_penalty * count + params.presence_penalty)
        return logits

    def distribution(self, logits: Logits, params: SamplingParams) -> Distribution:
        """Steps 4 to 7, from logits to the tokens that may be drawn."""
        best_first = np.argsort(-logits, kind="stable")
        if params.is_greedy:
            return [int(best_first[0])], [1.0]
        kept = logits[best_first]
        for step in self.order:
            kept = self.apply(step, kept, params)
        ids = best_first[: len(kept)]
        by_id = np.argsort(ids)
        return ids[by_id].tolist(), np.cumsum(softmax(kept)[by_id]).tolist()

    def apply(self, step: str, kept: Logits, params: SamplingParams) -> Logits:
        return STEPS[step](kept, params)

    def _distribution(self, state: State, counted: Sequence[int], params: SamplingParams) -> Distribution:
        key = (state, tuple(counted), settings_of(params))
        if key not in self._cached:
            if len(self._cached) > MAX_CACHED:
                self._cached.clear()
            logits = logits_in(state)
            if params.logit_bias:
                logits = logits.copy()
                logits[list(params.logit_bias)] += list(params.logit_bias.values())
            if counted:
                logits = self.penalise(logits, counted, params)
            self._cached[key] = self.distribution(logits, params)
        return self._cached[key]


def has_penalties(params: SamplingParams) -> bool:
    return bool(params.frequency_penalty or params.presence_penalty or params.repetition_penalty != 1)


def settings_of(params: SamplingParams) -> tuple[object, ...]:
    """All parameters that the distribution depends on."""
    penalties = params.frequency_penalty, params.presence_penalty, params.repetition_penalty
    bias = tuple(params.logit_bias.items())
    return params.temperature, params.top_k, params.top_p, params.min_p, *penalties, *bias


# The filters get logits in descending order and return the first of them.


def temper(kept: Logits, params: SamplingParams) -> Logits:
    with np.errstate(over="ignore"):
        return np.asarray((kept - kept[0]) / params.temperature)


def keep_top_k(kept: Logits, params: SamplingParams) -> Logits:
    return kept[: params.top_k or None]


def keep_top_p(kept: Logits, params: SamplingParams) -> Logits:
    if params.top_p == 1:
        return kept
    return kept[: np.searchsorted(np.cumsum(softmax(kept)), params.top_p, side="right") + 1]


def keep_min_p(kept: Logits, params: SamplingParams) -> Logits:
    probability = softmax(kept)
    return kept[: np.count_nonzero(probability >= params.min_p * probability[0])]


def softmax(logits: Logits) -> Logits:
    weights = np.exp(logits - logits[0])
    return np.asarray(weights / weights.sum())


STEPS: Mapping[str, Callable[[Logits, SamplingParams], Logits]] = {
    "temperature": temper,
    "top_k": keep_top_k,
    "top_p": keep_top_p,
    "min_p": keep_min_p,
}
