"""One sequence: the tokens known so far and how many of them the KV cache already holds."""

from dataclasses import dataclass, field

from oruel.sampling.sampler import Sampler


@dataclass(eq=False, slots=True)
class Sequence:
    """`slot` is its sequence id in the KV cache while it runs, None while it waits.

    There is no prefill or decode phase: a step computes some of the tokens that are known but not computed yet,
    and one that closes the gap yields the next token.
    """

    id: int
    prompt: list[int]
    max_tokens: int
    sampler: Sampler
    logprobs: int | None = None
    output: list[int] = field(default_factory=list)
    computed: int = 0
    slot: int | None = None

    @property
    def known(self) -> int:
        return len(self.prompt) + len(self.output)

    @property
    def missing(self) -> int:
        return self.known - self.computed

    @property
    def is_full(self) -> bool:
        return len(self.output) == self.max_tokens

    def next_tokens(self, count: int) -> list[int]:
        """The first `count` tokens that aren't computed yet."""
        start = self.computed
        if start >= len(self.prompt):
            start -= len(self.prompt)
            return self.output[start : start + count]
        tokens = self.prompt[start : start + count]
        return tokens + self.output[: count - len(tokens)]
