"""What each kind of server does with each parameter: honours it exactly, honours it differently from the contract, or
doesn't support it. Based on the source of vLLM 0.33, SGLang 0.5.23 and llama.cpp's server of October 2026, and on
OpenAI's documentation. What `oruel verify` measured on vLLM and llama.cpp's server agrees with it
(tests/verify/test_real_servers.py).

Ties between tokens of equal probability are not covered: servers break them differently. Limits of a server's own
configuration (slots for n, the maximum of logprobs, its context, a tool call parser) are not covered either: the server
refuses the request, and its error is passed on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import permutations
from operator import attrgetter

from oruel.types import ChatRequest, UpstreamKind

Applies = Callable[[ChatRequest], bool]


@dataclass(frozen=True, slots=True)
class ParameterSupport:
    """Names of a request's parameters: the server honours those in `differs` differently from the contract, which the
    catalog may accept; it doesn't support those in `refused`.
    """

    differs: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SupportLimit:
    """A limit of a parameter's support. `applies` decides whether it affects a request. `how` describes it in
    docs/catalog.md; empty if the parameter is never supported.
    """

    applies: Applies
    how: str = ""


def verdict(kind: UpstreamKind, request: ChatRequest) -> ParameterSupport:
    """What this kind of server does with the request. Lists only parameters that affect it, each at most once."""
    refused = tuple(name for name, limit in REFUSED[kind].items() if limit.applies(request))
    differs = (name for name, limit in DIFFERS[kind].items() if limit.applies(request))
    return ParameterSupport(tuple(name for name in differs if name not in refused), refused)


CALLS_TOOLS: Applies = attrgetter("calls_tools")
ANSWERS_JSON: Applies = attrgetter("answers_json")
ANSWERS_DOCUMENT_OR_CALLS: Applies = attrgetter("answers_document_or_calls")


def has_seed(request: ChatRequest) -> bool:
    return request.sampling.reproducible and not request.sampling.is_greedy


def requires_call(request: ChatRequest) -> bool:
    return request.tool_choice.mode == "required"


def calls_at_most_once(request: ChatRequest) -> bool:
    return request.calls_tools and not request.parallel_tool_calls


def is_colder_than(least: float) -> Applies:
    return lambda request: 0 < request.sampling.temperature < least and not request.sampling.is_greedy


def has_repetition_penalty(request: ChatRequest) -> bool:
    return request.sampling.repetition_penalty != 1


def has_frequency_penalty(request: ChatRequest) -> bool:
    return request.sampling.frequency_penalty != 0


def has_presence_penalty(request: ChatRequest) -> bool:
    return request.sampling.presence_penalty != 0


def limits_top_p(request: ChatRequest) -> bool:
    return request.sampling.top_p < 1 and not request.sampling.is_greedy


def limits_top_k(request: ChatRequest) -> bool:
    return request.sampling.top_k > 1 and not request.sampling.is_greedy


def limits_min_p(request: ChatRequest) -> bool:
    return request.sampling.min_p > 0 and not request.sampling.is_greedy


def wants_logprobs(request: ChatRequest) -> bool:
    return request.sampling.logprobs is not None


def stops_in_calls(request: ChatRequest) -> bool:
    return bool(request.stop) and request.calls_tools


def stops_overlap(request: ChatRequest) -> bool:
    """Whether two stop strings may overlap in a text, so that it matters which one the server finds first."""
    return any(
        other.startswith(one[start:]) or one.startswith(other, start)
        for one, other in permutations(request.stop, 2)
        for start in range(len(one))
    )


UNSURE_CALLS = (
    "arguments may be malformed or not match their schemas: enforcement depends on the model's tool call parser"
)
UNSURE_CHOICE = "required or named: whether a call is guaranteed depends on the model's tool call parser"
ONE_SHOWN = f"{UNSURE_CHOICE}; if a function is named, the prompt describes only that one"
SEVERAL_CALLS = "false: some parsers still return several calls"
LATE = "applied one token late; also counts the last token of the prompt"
PROMPT = "also counts the tokens of the prompt"

EITHER = SupportLimit(
    ANSWERS_DOCUMENT_OR_CALLS,
    "with tool_choice auto: only OpenAI documents an answer that is either a document or calls",
)
SEED = SupportLimit(has_seed, "uses its own random numbers; results may also depend on concurrent requests")
OPEN_DOCUMENTS = "a document cut by max_tokens is not closed; whitespace and unknown keywords are up to the server"
RESPONSE_FORMAT = SupportLimit(ANSWERS_JSON, OPEN_DOCUMENTS)
TRACE = SupportLimit(lambda request: request.sampling.trace is not None)
TEXT_SO_FAR = 'counts "the text so far"; not documented whether that includes the prompt'

DIFFERS: Mapping[UpstreamKind, Mapping[str, SupportLimit]] = {
    "vllm": {
        "temperature": SupportLimit(is_colder_than(0.01), "below 0.01: treated as 0.01"),
        "min_p": SupportLimit(
            lambda request: limits_min_p(request) and limits_top_p(request),
            "with top_p: applied before top_p, not after it",
        ),
        "repetition_penalty": SupportLimit(has_repetition_penalty, PROMPT),
        "seed": SEED,
        "logprobs": SupportLimit(
            wants_logprobs,
            "computed after the grammar mask; a character's bytes are reported with its last token; "
            "with top_logprobs 20, the last entry may be the chosen token in place of a more probable one",
        ),
        "response_format": RESPONSE_FORMAT,
        "tools": SupportLimit(CALLS_TOOLS, UNSURE_CALLS),
        "tool_choice": SupportLimit(requires_call, UNSURE_CHOICE),
    },
    "sglang": {
        "temperature": SupportLimit(is_colder_than(1e-6), "below 0.000001: treated as 0"),
        "top_p": SupportLimit(
            lambda request: limits_top_p(request) and limits_top_k(request),
            "with top_k: computed over all tokens, not over those that top_k kept",
        ),
        "frequency_penalty": SupportLimit(has_frequency_penalty, LATE),
        "presence_penalty": SupportLimit(has_presence_penalty, LATE),
        "repetition_penalty": SupportLimit(
            has_repetition_penalty, f"{LATE}; applied after the other penalties, not before them"
        ),
        "seed": SEED,
        "logprobs": SupportLimit(
            wants_logprobs,
            "computed after penalties, bias, the grammar mask and temperature; not the model's own distribution",
        ),
        "logit_bias": SupportLimit(
            lambda request: bool(request.sampling.logit_bias) and has_repetition_penalty(request),
            "with repetition_penalty: added after the penalty, not before it",
        ),
        "response_format": RESPONSE_FORMAT,
        "tools": SupportLimit(CALLS_TOOLS, UNSURE_CALLS),
        "tool_choice": SupportLimit(requires_call, ONE_SHOWN),
        "parallel_tool_calls": SupportLimit(calls_at_most_once, SEVERAL_CALLS),
    },
    "llama-server": {
        "frequency_penalty": SupportLimit(has_frequency_penalty, PROMPT),
        "presence_penalty": SupportLimit(has_presence_penalty, PROMPT),
        "repetition_penalty": SupportLimit(has_repetition_penalty, PROMPT),
        "seed": SEED,
        "logprobs": SupportLimit(wants_logprobs, "tokens that end inside a character share one entry"),
        "logit_bias": SupportLimit(
            lambda request: bool(request.sampling.logit_bias), "ids outside the vocabulary are ignored, not refused"
        ),
        "response_format": SupportLimit(
            ANSWERS_JSON, f"{OPEN_DOCUMENTS}; at high temperatures some documents fail with status 502"
        ),
        "tools": SupportLimit(CALLS_TOOLS, UNSURE_CALLS),
        "tool_choice": SupportLimit(requires_call, ONE_SHOWN),
        "parallel_tool_calls": SupportLimit(calls_at_most_once, SEVERAL_CALLS),
    },
    "openai": {
        "top_p": SupportLimit(
            lambda request: limits_top_p(request) and request.sampling.temperature != 1,
            "with a temperature other than 1: the order of the two is not documented",
        ),
        "stop": SupportLimit(
            lambda request: stops_in_calls(request) or stops_overlap(request),
            "with tools, or if two strings overlap: not documented whether calls are searched, and which string wins",
        ),
        "frequency_penalty": SupportLimit(has_frequency_penalty, TEXT_SO_FAR),
        "presence_penalty": SupportLimit(has_presence_penalty, TEXT_SO_FAR),
        "seed": SEED,
        "logprobs": SupportLimit(wants_logprobs, "not documented which parameters affect them"),
        "response_format": RESPONSE_FORMAT,
        "tools": SupportLimit(
            lambda request: (
                request.calls_tools and (request.parallel_tool_calls or not all(tool.strict for tool in request.tools))
            ),
            "unless every function is strict and parallel_tool_calls is false: arguments may not match their schemas",
        ),
    },
    "oruel": {},
}

REFUSED: Mapping[UpstreamKind, Mapping[str, SupportLimit]] = {
    "vllm": {"response_format": EITHER, "trace": TRACE},
    "sglang": {
        "repetition_penalty": SupportLimit(lambda request: request.sampling.repetition_penalty > 2, "above 2"),
        "response_format": EITHER,
        "trace": TRACE,
    },
    "llama-server": {
        "response_format": EITHER,
        "logprobs": SupportLimit(lambda request: wants_logprobs(request) and request.calls_tools, "with tools"),
        "trace": TRACE,
    },
    "openai": {
        "top_k": SupportLimit(limits_top_k, "above 1"),
        "min_p": SupportLimit(limits_min_p),
        "repetition_penalty": SupportLimit(has_repetition_penalty),
        "chat_template_kwargs": SupportLimit(lambda request: bool(request.chat_template_kwargs)),
        "trace": TRACE,
    },
    "oruel": {"trace": TRACE},
}
