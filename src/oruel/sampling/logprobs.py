"""Log-probabilities of the model's own distribution, before any parameter acts."""

import numpy as np
from numpy.typing import NDArray

from oruel.sampling.candidates import largest, peak


def logprobs(logits: NDArray[np.float32], token: int, top: int) -> tuple[float, list[tuple[int, float]]]:
    """The natural log of the probability of `token`, and of the `top` most probable tokens as (id, log), best
    first, ties to the lower id. Computed in float64; `logits` is one row, with a finite maximum and no NaN.

    Tokens of probability 0 are no alternatives, so there may be fewer than `top`. The log of `token` is −inf
    if a parameter made the model choose what it rules out.
    """
    highest = peak(logits)
    weights = logits.astype(np.float64)
    weights -= highest
    log_total = float(np.log(np.exp(weights, out=weights).sum()))
    best = largest(logits, top) if top else np.empty(0, np.intp)
    best = best[np.argsort(-logits[best], kind="stable")]
    # The largest is subtracted first, as adding it to the log of the sum would round the log away.
    alternatives = [(int(id), float(logits[id]) - highest - log_total) for id in best if logits[id] > -np.inf]
    return float(logits[token]) - highest - log_total, alternatives
