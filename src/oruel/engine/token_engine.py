"""The one seam between the text side and what computes tokens: token ids in, token outputs back."""

from contextlib import AbstractContextManager
from typing import Protocol

from oruel.constraints.spec import ConstraintSpec
from oruel.engine.generation import Generation
from oruel.types import SamplingParams, Tier


class TokenEngine(Protocol):
    """Generates the tokens of a request's choices. engine.client.EngineClient is the embedded engine,
    engine.vllm.engine.VLLMEngine a vLLM with our plugin; all that stands above knows neither.
    """

    def require_room(self, choices: int) -> None:
        """Raises Overloaded if there is no room for `choices` sequences now, InvalidParameter if there never will be,
        and EngineFailed if the engine knows that it can't take requests now.
        """

    def generate(
        self,
        prompt: list[int],
        sampling: SamplingParams,
        *,
        choices: int,
        max_tokens: int,
        tier: Tier = "standard",
        cache_salt: str = "",
        constraint: ConstraintSpec | None = None,
        prefix: tuple[int, ...] = (),
    ) -> AbstractContextManager[Generation]:
        """Starts one sequence per choice. Leaving the context cancels those that are still live.

        `max_tokens` is already clamped: len(prompt) + max_tokens fits the engine's window. Sequences with the same
        `cache_salt` share computed prefixes. The output begins with `prefix`, which is shorter than max_tokens.
        """
