"""What each kind of server makes of a request: honoured exactly, differently from the contract, or not at all. Read
from the source of vLLM 0.33, SGLang 0.5.23 and llama.cpp's server, and from OpenAI's documentation, as of August 2026.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from oruel.types import ChatRequest, UpstreamKind

Applies = Callable[[ChatRequest], bool]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Parameters of one request by name: `differs` may be served where the catalog accepts it, `refused` may not."""

    differs: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def verdict(kind: UpstreamKind, request: ChatRequest) -> Verdict:
    """Only parameters that act on this request count."""
    differs, refused = DIFFERS[kind], REFUSED[kind]
    return Verdict(
        tuple(name for name, applies in differs.items() if applies(request)),
        tuple(name for name, applies in refused.items() if applies(request)),
    )


def is_greedy(request: ChatRequest) -> bool:
    return request.sampling.temperature == 0 or request.sampling.top_k == 1


def has_seed(request: ChatRequest) -> bool:
    return request.sampling.reproducible and not is_greedy(request)


def repeats_cost(request: ChatRequest) -> bool:
    return request.sampling.repetition_penalty != 1


def counts_cost(request: ChatRequest) -> bool:
    return request.sampling.frequency_penalty != 0 or request.sampling.presence_penalty != 0


def filters(request: ChatRequest) -> bool:
    return not is_greedy(request) and (request.sampling.top_p < 1 or request.sampling.min_p > 0)


def wants_json(request: ChatRequest) -> bool:
    """No server closes a document whose budget runs short."""
    return request.response_format.type != "text"


def names_a_tool(request: ChatRequest) -> bool:
    return request.tool_choice.mode == "required" and len(request.tool_choice.names) < len(request.tools)


DIFFERS: Mapping[UpstreamKind, Mapping[str, Applies]] = {
    "vllm": {
        "temperature": lambda request: 0 < request.sampling.temperature < 0.01,
        "min_p": lambda request: request.sampling.min_p > 0 and request.sampling.top_p < 1 and not is_greedy(request),
        "repetition_penalty": repeats_cost,
        "seed": has_seed,
        "response_format": wants_json,
    },
    "sglang": {
        "top_p": lambda request: 0 < request.sampling.top_p < 1 < request.sampling.top_k,
        "repetition_penalty": lambda request: repeats_cost(request) and counts_cost(request),
        "seed": has_seed,
        "response_format": wants_json,
    },
    "llama-server": {
        "temperature": lambda request: filters(request) and request.sampling.temperature != 1,
        "frequency_penalty": lambda request: request.sampling.frequency_penalty != 0,
        "presence_penalty": lambda request: request.sampling.presence_penalty != 0,
        "repetition_penalty": repeats_cost,
        "seed": has_seed,
        "response_format": wants_json,
    },
    "openai": {"seed": has_seed, "response_format": wants_json},
    "oruel": {},
}

REFUSED: Mapping[UpstreamKind, Mapping[str, Applies]] = {
    "vllm": {},
    "sglang": {"repetition_penalty": lambda request: request.sampling.repetition_penalty > 2},
    "llama-server": {
        "tool_choice": names_a_tool,
        "seed": lambda request: has_seed(request) and not 0 <= request.sampling.seed < 2**32 - 1,
        "n": lambda request: request.n > 1,
    },
    "openai": {
        "top_k": lambda request: request.sampling.top_k > 1,
        "min_p": lambda request: request.sampling.min_p > 0 and not is_greedy(request),
        "repetition_penalty": repeats_cost,
        "chat_template_kwargs": lambda request: bool(request.chat_template_kwargs),
    },
    "oruel": {},
}
