"""One sequence: its known tokens, and how many of them the KV cache holds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oruel.sampling.sampler import Sampler
from oruel.sampling.traced_sampler import TracedSampler
from oruel.types import Tier

# A turbo sequence is ranked as if it had already waited this long.
HEAD_START_SECONDS = 10.0


@dataclass(eq=False, slots=True)
class Sequence:
    """`tokens` are the prompt's, then the generated ones. `slot` is where it runs, None while it waits. `arrived` is in
    seconds of any clock. Prefixes are shared within a `cache_salt`. A `reproducible` sequence is always computed in
    batch-invariant shapes; of any sequence, the first `invariant` tokens were. `undecided` are the logits of the next
    token, if the constraint needs more than one step for it. `param`: the request's parameter that constrains it.
    `prefix`: the tokens that the output began with.

    There is no prefill or decode phase: a step computes some of the tokens that are known but not computed yet,
    and one that closes the gap yields the next token.
    """

    id: int
    tokens: list[int]
    prompt_length: int
    max_tokens: int
    sampler: Sampler
    logprobs: int | None = None
    tier: Tier = "standard"
    arrived: float = 0.0
    cache_salt: str = ""
    reproducible: bool = True
    prefix: tuple[int, ...] = ()
    param: str = ""
    started: bool = False
    computed: int = 0
    invariant: int = 0
    slot: int | None = None
    undecided: NDArray[np.float32] | None = None

    @property
    def reports_logits(self) -> bool:
        """Whether each token is reported together with the logits that it was chosen from."""
        return self.logprobs is not None or isinstance(self.sampler, TracedSampler)

    @property
    def known(self) -> int:
        return len(self.tokens)

    @property
    def missing(self) -> int:
        return self.known - self.computed

    @property
    def remaining(self) -> int:
        """How many more tokens may be generated."""
        return self.prompt_length + self.max_tokens - self.known

    @property
    def is_full(self) -> bool:
        return self.remaining == 0

    @property
    def rank(self) -> float:
        """Lower ranks go first. It never changes, so a standard sequence can't starve."""
        return self.arrived - (HEAD_START_SECONDS if self.tier == "turbo" else 0.0)
