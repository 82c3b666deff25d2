"""Which requests vLLM refuses before they reach the batch."""

import sys
from collections.abc import Iterator
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
    """A step that can't compute one row fails for all, and vLLM ends. Oru'el sends nothing that fails; this holds for
    whoever else reaches vLLM. Raises ValueError.
    """
    for name, value, low, high in ranged_values(row):
        if not low <= value <= high:
            raise ValueError(f"extra_args.oruel.{name} is {value}; it can be {low} to {high}.")


def ranged_values(row: RowRequest) -> Iterator[tuple[str, float, float, float]]:
    """The name of each number, its value, the lowest and the highest that can be computed. A NaN is in no range."""
    sampling = row.sampling
    for name, (low, high) in RANGES.items():
        yield f"sampling.{name}", getattr(sampling, name), low, high
    for token, bias in sampling.logit_bias.items():
        yield "sampling.logit_bias", token, *IDS
        yield f"sampling.logit_bias.{token}", bias, *FINITE
    for name in ("end_tokens", "seal"):
        for token in getattr(row, name):
            yield name, token, *IDS
    yield "mark", row.mark, *IDS
    yield "choice", row.choice, *IDS
    yield "max_tokens", row.max_tokens, 1, IDS[1]


IDS = 0, 2**31 - 1
FINITE = -sys.float_info.max, sys.float_info.max
RANGES: dict[str, tuple[float, float]] = {
    "temperature": (0, FINITE[1]),
    "top_p": (0, 1),
    "top_k": (0, MAX_TOP_K),
    "min_p": (0, 1),
    "seed": (-(2**63), 2**63 - 1),
    "repetition_penalty": (sys.float_info.min, FINITE[1]),
    "frequency_penalty": FINITE,
    "presence_penalty": FINITE,
}
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
