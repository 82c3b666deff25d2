"""From logits to a token, for one sequence at a time, in NumPy: no C, no text, no state shared between sequences."""

from oruel.sampling.logprobs import logprobs
from oruel.sampling.sampler import Sampler

__all__ = ["Sampler", "logprobs"]
