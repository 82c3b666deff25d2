"""The bodies of requests to vLLM's token API."""

from collections.abc import Sequence
from typing import Any

from oruel.engine.vllm.wire import (
    CHECK_TOKENS,
    ENDING_ROOM,
    MAX_HELLO_TOKENS,
    REPLY_END,
    CheckRequest,
    FromOruel,
    HelloRequest,
    RowRequest,
    to_extra_args,
)

# The prompt of requests to the plugin itself. Which token it is doesn't matter.
ANY_PROMPT = (0,)


def row_body(
    row: RowRequest, prompt: Sequence[int], *, model: str, request_id: str, cache_salt: str, priority: int | None
) -> dict[str, Any]:
    """`priority` is None for a vLLM that serves in the order of arrival, which refuses any."""
    wanted = row.sampling.logprobs
    sampling = {
        "max_tokens": row.max_tokens + (ENDING_ROOM if row.constraint or row.end_tokens else 0),
        "stop_token_ids": row.end_tokens,
        # vLLM counts the sampled token among the alternatives, even if it is not one of the most probable.
        **({} if wanted is None else {"logprobs": wanted + 1 if wanted else 0}),
    }
    return request_body(row, prompt, sampling, model, request_id) | {
        **({"cache_salt": cache_salt} if cache_salt else {}),
        **({} if priority is None else {"priority": priority}),
    }


def hello_body(model: str, request_id: str) -> dict[str, Any]:
    sampling = {"max_tokens": MAX_HELLO_TOKENS, "stop_token_ids": [REPLY_END]}
    return request_body(HelloRequest(), ANY_PROMPT, sampling, model, request_id)


def check_body(check: CheckRequest, model: str, request_id: str) -> dict[str, Any]:
    return request_body(check, ANY_PROMPT, {"max_tokens": CHECK_TOKENS}, model, request_id)


def request_body(
    message: FromOruel, prompt: Sequence[int], sampling: dict[str, Any], model: str, request_id: str
) -> dict[str, Any]:
    """Temperature 0 and no penalties: vLLM takes the maximum of what the plugin leaves, and changes nothing before."""
    return {
        "model": model,
        "request_id": request_id,
        "token_ids": list(prompt),
        "sampling_params": {
            "temperature": 0,
            "detokenize": False,
            "ignore_eos": True,
            **sampling,
            "extra_args": to_extra_args(message),
        },
        "stream": True,
        "stream_options": {"include_usage": True},
    }
