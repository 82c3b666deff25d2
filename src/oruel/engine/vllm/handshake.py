"""Whether a vLLM can keep the contract: what it says of itself, compared with what the catalog says. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from oruel.contract.kinds import abbreviate
from oruel.engine.vllm.wire import WINDOW_RESERVE, HelloReply
from oruel.errors import VLLMUnusable

OLDEST_VERSION = (0, 32)
# The most alternatives that a request may ask for, and the token that was sampled.
ALL_LOGPROBS = 21
INSTALL = "Install it in vLLM's environment (pip install ./vllm_plugin) and restart vLLM."


@dataclass(frozen=True, slots=True)
class Expected:
    """What a deployment needs: the `digest` of its tokenizer, which has `vocabulary_size` tokens, and a window of
    `window` tokens for prompt and answer, None for as many as vLLM has.
    """

    model: str
    digest: str
    vocabulary_size: int
    window: int | None


def check_version(version: str) -> None:
    """Raises VLLMUnusable. Versions that don't begin with two numbers are those of private builds, and are accepted."""
    found = re.match(r"(\d{1,9})\.(\d{1,9})", version)
    if found and (int(found[1]), int(found[2])) < OLDEST_VERSION:
        raise VLLMUnusable(
            f"The vLLM behind this model is {abbreviate(version)}, but its token API is complete only from "
            f"{'.'.join(map(str, OLDEST_VERSION))} on. Upgrade vLLM."
        )


def check_served(names: Sequence[str], model: str) -> None:
    if model not in names:
        shown = ", ".join(abbreviate(name) for name in names[:8]) or "none"
        raise VLLMUnusable(
            "The vLLM behind this model serves other models. Correct model in the catalog.",
            detail=f"it serves no {model}, only: {shown}",
        )


def check_hello(hello: HelloReply, expected: Expected) -> None:
    """Raises VLLMUnusable."""
    if hello.tokenizer and hello.tokenizer != expected.digest:
        raise VLLMUnusable(
            "The vLLM behind this model has another vocabulary than the deployment's tokenizer. Let tokenizer name the "
            "files of the model that vLLM serves.",
            detail=f"vLLM has {abbreviate(hello.model)} with {hello.vocabulary_size} tokens, the tokenizer "
            f"{expected.vocabulary_size}",
        )
    if hello.vocabulary_size < expected.vocabulary_size:
        raise VLLMUnusable(
            f"The vLLM behind this model computes logits for {hello.vocabulary_size} tokens, but the deployment's "
            f"tokenizer has {expected.vocabulary_size}. Let tokenizer name the files of the model that vLLM serves."
        )
    if expected.window is not None and hello.window - WINDOW_RESERVE < expected.window:
        raise VLLMUnusable(
            f"The vLLM behind this model has a window of {hello.window} tokens, of which {WINDOW_RESERVE} mark the end "
            f"of an answer, but this model's context is {expected.window}. Set context to "
            f"{hello.window - WINDOW_RESERVE}, or start vLLM with --max-model-len "
            f"{expected.window + WINDOW_RESERVE}."
        )


def cautions(hello: HelloReply, *, reports_cached: bool, has_tiers: bool) -> Iterator[str]:
    """What works less well than it could, each with what to do. `has_tiers`: the deployment serves turbo and standard.
    `reports_cached`: vLLM reports cached tokens.
    """
    if not hello.tokenizer:
        yield "the plugin found no tokenizer, so that response_format and tools are refused: let vLLM load one"
    if has_tiers and not hello.priority_scheduling:
        yield "turbo is not scheduled before standard: start vLLM with --scheduling-policy priority"
    if not hello.prefix_caching:
        yield "every prompt is computed whole: start vLLM with --enable-prefix-caching"
    elif not reports_cached:
        yield "usage reports no cached tokens: start vLLM with --enable-prompt-tokens-details"
    if 0 <= hello.max_logprobs < ALL_LOGPROBS:
        yield f"top_logprobs is refused above {hello.max_logprobs - 1}: start vLLM with --max-logprobs {ALL_LOGPROBS}"
    if not hello.batch_invariant:
        yield "seeded text may change with what else runs: set VLLM_BATCH_INVARIANT=1 where the GPU supports it"


def missing_plugin() -> VLLMUnusable:
    return VLLMUnusable(
        "The vLLM behind this model runs without Oru'el's plugin, so that its own sampling would answer. "
        f"{INSTALL} If it is installed: vLLM loads no plugins for sampling while speculative decoding is on."
    )
