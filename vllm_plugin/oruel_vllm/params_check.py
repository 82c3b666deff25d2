"""Which requests vLLM refuses before they reach the batch."""

from typing import Any

from oruel.engine.vllm.wire import RowRequest, from_extra_args
from oruel.errors import OruelError
from oruel_vllm.plan import MAX_TOP_K


def check_params(params: Any) -> None:
    """`params` is a vllm.SamplingParams. Raises ValueError, which the client gets as a 400, if it has a broken message
    of Oru'el's, or anything of vLLM's that would change what the plugin chooses.
    """
    try:
        message = from_extra_args(params.extra_args)
    except OruelError as error:
        raise ValueError(error.message) from error
    if message is None:
        return
    if active := [name for name, neutral in NEUTRAL.items() if getattr(params, name, neutral) not in (neutral, None)]:
        raise ValueError(
            f"With extra_args.oruel, vLLM's own sampling must be off, but the request sets {', '.join(active)}. Put "
            "sampling parameters into extra_args.oruel.sampling."
        )
    if isinstance(message, RowRequest) and message.sampling.top_k > MAX_TOP_K:
        raise ValueError(f"extra_args.oruel.sampling.top_k is {message.sampling.top_k}; the most is {MAX_TOP_K}.")


NEUTRAL: dict[str, Any] = {
    "temperature": 0.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "repetition_penalty": 1.0,
    "min_tokens": 0,
    "logit_bias": None,
    "allowed_token_ids": None,
    "bad_words": [],
    "structured_outputs": None,
}
