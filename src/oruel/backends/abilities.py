"""What each kind of server does with each parameter: honours it exactly, honours it differently from the contract, or
doesn't support it. Based on the source of vLLM 0.33, SGLang 0.5.23 and llama.cpp's server of October 2026, and on
OpenAI's documentation.

Among tokens of equal probability, servers keep or draw different ones than we do. What a server was started without
(slots for n, room for logprobs or for the prompt, a parser of calls) it refuses itself, and that error is passed on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import permutations

from oruel.types import ChatRequest, UpstreamKind

Applies = Callable[[ChatRequest], bool]


@dataclass(frozen=True, slots=True)
class ParameterSupport:
    """Parameters of one request by name. Those in `differs` may be served if the catalog accepts it; those in `refused`
    may not.
    """

    differs: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SupportLimit:
    """A limit of a parameter's support. `how` says when and in what, for docs/scaling.md; empty for always and
    completely.
    """

    applies: Applies
    how: str = ""


def verdict(kind: UpstreamKind, request: ChatRequest) -> ParameterSupport:
    """Only parameters that affect this request count. A refused parameter is not also listed as differing."""
    refused = tuple(name for name, limit in REFUSED[kind].items() if limit.applies(request))
    differs = (name for name, limit in DIFFERS[kind].items() if limit.applies(request))
    return ParameterSupport(tuple(name for name in differs if name not in refused), refused)


def is_greedy(request: ChatRequest) -> bool:
    """One token is left to draw from."""
    sampling = request.sampling
    return sampling.temperature == 0 or sampling.top_k == 1 or sampling.top_p == 0


def has_seed(request: ChatRequest) -> bool:
    return request.sampling.reproducible and not is_greedy(request)


def calls_tools(request: ChatRequest) -> bool:
    return request.tool_choice.mode != "none"


def must_call(request: ChatRequest) -> bool:
    return request.tool_choice.mode == "required"


def calls_one_at_most(request: ChatRequest) -> bool:
    return calls_tools(request) and not request.parallel_tool_calls


def is_colder_than(least: float) -> Applies:
    return lambda request: 0 < request.sampling.temperature < least and not is_greedy(request)


def repeats_cost(request: ChatRequest) -> bool:
    return request.sampling.repetition_penalty != 1


def frequency_costs(request: ChatRequest) -> bool:
    return request.sampling.frequency_penalty != 0


def presence_costs(request: ChatRequest) -> bool:
    return request.sampling.presence_penalty != 0


def cuts_top_p(request: ChatRequest) -> bool:
    return request.sampling.top_p < 1 and not is_greedy(request)


def cuts_top_k(request: ChatRequest) -> bool:
    return request.sampling.top_k > 1 and not is_greedy(request)


def cuts_min_p(request: ChatRequest) -> bool:
    return request.sampling.min_p > 0 and not is_greedy(request)


def wants_json(request: ChatRequest) -> bool:
    return request.response_format.type != "text"


def answers_in_form(request: ChatRequest) -> bool:
    return wants_json(request) and request.tool_choice.mode == "auto"


def wants_logprobs(request: ChatRequest) -> bool:
    return request.sampling.logprobs is not None


def stops_in_calls(request: ChatRequest) -> bool:
    return bool(request.stop) and calls_tools(request)


def stops_overlap(request: ChatRequest) -> bool:
    """Whether two stop strings may share characters of a text, so that it matters which one the server finds."""
    return any(
        other.startswith(one[start:]) or one.startswith(other, start)
        for one, other in permutations(request.stop, 2)
        for start in range(len(one))
    )


UNSURE_CALLS = "calls may be malformed or not match their schemas: what is enforced depends on the model's parser"
UNSURE_CHOICE = "required or named: whether a call is certain depends on the model's parser"
ONE_SHOWN = f"{UNSURE_CHOICE}; where one is named, the model is shown that function alone"
SEVERAL_CALLS = "false: several calls may come, with some parsers"
LATE = "a token late, and the prompt's last one counts"
PROMPT = "counts the prompt too"

EITHER = SupportLimit(
    answers_in_form, "with tools that may be called or not: a document or calls is known of OpenAI alone"
)
SEED = SupportLimit(has_seed, "draws of its own, which what else it computes may change")
RESPONSE_FORMAT = SupportLimit(
    wants_json, "a document that max_tokens cuts is not closed; whitespace and unknown keywords are left to the server"
)
TEXT_SO_FAR = 'counts "the text so far": whether that is the output alone is not documented'

DIFFERS: Mapping[UpstreamKind, Mapping[str, SupportLimit]] = {
    "vllm": {
        "temperature": SupportLimit(is_colder_than(0.01), "under 0.01: taken for 0.01"),
        "min_p": SupportLimit(
            lambda request: cuts_min_p(request) and cuts_top_p(request), "with top_p: applied before it, not after"
        ),
        "repetition_penalty": SupportLimit(repeats_cost, PROMPT),
        "seed": SEED,
        "logprobs": SupportLimit(
            wants_logprobs, "after the mask of JSON and calls; a character's bytes come with its last token"
        ),
        "response_format": RESPONSE_FORMAT,
        "tools": SupportLimit(calls_tools, UNSURE_CALLS),
        "tool_choice": SupportLimit(must_call, UNSURE_CHOICE),
    },
    "sglang": {
        "temperature": SupportLimit(is_colder_than(1e-6), "under 0.000001: taken for 0"),
        "top_p": SupportLimit(
            lambda request: cuts_top_p(request) and cuts_top_k(request),
            "with top_k: of all probabilities, not of those that top_k kept",
        ),
        "frequency_penalty": SupportLimit(frequency_costs, LATE),
        "presence_penalty": SupportLimit(presence_costs, LATE),
        "repetition_penalty": SupportLimit(repeats_cost, f"{LATE}; after the other penalties, not before them"),
        "seed": SEED,
        "logprobs": SupportLimit(
            wants_logprobs, "after penalties, bias, the mask of JSON and calls, and temperature; not the model's own"
        ),
        "logit_bias": SupportLimit(
            lambda request: bool(request.sampling.logit_bias) and repeats_cost(request),
            "with repetition_penalty: added after it, not before",
        ),
        "response_format": RESPONSE_FORMAT,
        "tools": SupportLimit(calls_tools, UNSURE_CALLS),
        "tool_choice": SupportLimit(must_call, ONE_SHOWN),
        "parallel_tool_calls": SupportLimit(calls_one_at_most, SEVERAL_CALLS),
    },
    "llama-server": {
        "frequency_penalty": SupportLimit(frequency_costs, PROMPT),
        "presence_penalty": SupportLimit(presence_costs, PROMPT),
        "repetition_penalty": SupportLimit(repeats_cost, PROMPT),
        "seed": SEED,
        "logprobs": SupportLimit(wants_logprobs, "tokens that end within a character share one entry"),
        "logit_bias": SupportLimit(
            lambda request: bool(request.sampling.logit_bias), "ids outside the vocabulary are ignored, not refused"
        ),
        "response_format": RESPONSE_FORMAT,
        "tools": SupportLimit(calls_tools, UNSURE_CALLS),
        "tool_choice": SupportLimit(must_call, ONE_SHOWN),
        "parallel_tool_calls": SupportLimit(calls_one_at_most, SEVERAL_CALLS),
    },
    "openai": {
        "top_p": SupportLimit(
            lambda request: cuts_top_p(request) and request.sampling.temperature != 1,
            "with temperature other than 1: which of them comes first is not documented",
        ),
        "stop": SupportLimit(
            lambda request: stops_in_calls(request) or stops_overlap(request),
            "with tools, or where two overlap: whether calls are searched and which one wins is not documented",
        ),
        "frequency_penalty": SupportLimit(frequency_costs, TEXT_SO_FAR),
        "presence_penalty": SupportLimit(presence_costs, TEXT_SO_FAR),
        "seed": SEED,
        "logprobs": SupportLimit(wants_logprobs, "before or after which parameters is not documented"),
        "response_format": RESPONSE_FORMAT,
        "tools": SupportLimit(
            lambda request: (
                calls_tools(request) and (request.parallel_tool_calls or not all(tool.strict for tool in request.tools))
            ),
            "unless every function is strict and parallel_tool_calls false: arguments may not match their schemas",
        ),
    },
    "oruel": {},
}

REFUSED: Mapping[UpstreamKind, Mapping[str, SupportLimit]] = {
    "vllm": {"response_format": EITHER},
    "sglang": {
        "repetition_penalty": SupportLimit(lambda request: request.sampling.repetition_penalty > 2, "over 2"),
        "response_format": EITHER,
    },
    "llama-server": {
        "response_format": EITHER,
        "logprobs": SupportLimit(lambda request: wants_logprobs(request) and calls_tools(request), "with tools"),
    },
    "openai": {
        "top_k": SupportLimit(cuts_top_k, "over 1"),
        "min_p": SupportLimit(cuts_min_p),
        "repetition_penalty": SupportLimit(repeats_cost),
        "chat_template_kwargs": SupportLimit(lambda request: bool(request.chat_template_kwargs)),
    },
    "oruel": {},
}
