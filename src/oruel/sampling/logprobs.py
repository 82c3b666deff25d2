"""Log-probabilities of the model's own distribution, before any parameter acts."""

import numpy as np
from numpy.typing import NDArray

from oruel.sampling.candidates import largest, peak


def logprobs(logits: NDArray[np.float32], token: int, top: int) -> tuple[float, list[tuple[int, float]]]:
    """The natural log-probability of `token`, and those of the `top` most probable tokens as (id, log), best first,
    ties to the lower id. Computed in float64. `logits` is one row, with a finite maximum and no NaN.

    Tokens of probability 0 are left out, so there may be fewer than `top`. The result is −inf for a token that the
    model rules out but a parameter made it choose.
    """
    highest = peak(logits)
    weights = logits.astype(np.float64)
    weights -= highest
    log_total = float(np.log(np.exp(weights, out=weights).sum()))
    best = largest(logits, top) if top else np.empty(0, np.intp)
    best = best[np.argsort(-logits[best], kind="stable")]
    # The maximum is subtracted first, since adding it to the log of the sum would lose precision.
    alternatives = [(int(id), float(logits[id]) - highest - log_total) for id in best if logits[id] > -np.inf]
    return float(logits[token]) - highest - log_total, alternatives
