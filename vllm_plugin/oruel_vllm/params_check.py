"""Which requests vLLM refuses before they reach the batch."""

import sys
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
    if isinstance(message, RowRequest):
        check_row(message)


def check_row(row: RowRequest) -> None:
    """What Oru'el never sends, but another client of vLLM may: it would break the step of all rows."""
    sampling = row.sampling
    ranges = {
        "temperature": (sampling.temperature, 0.0, sys.float_info.max),
        "top_k": (sampling.top_k, 0, MAX_TOP_K),
        "top_p": (sampling.top_p, 0.0, 1.0),
        "min_p": (sampling.min_p, 0.0, 1.0),
        "repetition_penalty": (sampling.repetition_penalty, 1e-3, 1e3),
        "frequency_penalty": (sampling.frequency_penalty, -1e3, 1e3),
        "presence_penalty": (sampling.presence_penalty, -1e3, 1e3),
    }
    for name, (value, least, most) in ranges.items():
        if not least <= value <= most:
            raise ValueError(f"extra_args.oruel.sampling.{name} is {value}; it must lie between {least} and {most}.")
    if any(not -1e3 <= bias <= 1e3 for bias in sampling.logit_bias.values()):
        raise ValueError("extra_args.oruel.sampling.logit_bias must lie between -1000 and 1000.")
    if min(row.choice, row.mark, *row.end_tokens, *sampling.logit_bias) < 0:
        raise ValueError("extra_args.oruel: choices and tokens must not be negative.")


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
