"""The body of POST /v1/chat/completions: the kinds of its fields, the rules between fields, and the ChatRequest that
they form.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from oruel.api.body import parse_object
from oruel.api.chat.messages import MESSAGES, match_tool_results
from oruel.api.chat.tools import build_choice, build_format, build_tools
from oruel.api.examiner import check_size, places_in
from oruel.api.unknown_fields import without_unknown
from oruel.contract.kinds import Kind, Object, String, abbreviate, nearest
from oruel.contract.openai_fields import INERT, RECORDED, REFUSED
from oruel.contract.parameters import PARAMETERS
from oruel.errors import InvalidParameter, UnsupportedParameter
from oruel.jobs.base import Tokenizers
from oruel.router.catalog import Catalog, ModelCard
from oruel.types import ChatRequest, SamplingParams

DEFAULTS: Mapping[str, Any] = {parameter.name: parameter.default for parameter in PARAMETERS}

FIELDS: Mapping[str, Kind] = {
    "model": String(1, 256),
    "messages": MESSAGES,
    **{parameter.name: parameter.kind for parameter in PARAMETERS},
    **RECORDED,
    **INERT,
    **REFUSED,
}

# A traced candidate takes about 400 bytes in memory and as many in a response; a token has at most 3 × top + 1.
MAX_TRACED_CANDIDATES = 2**18

CHAT_BODY = Object(FIELDS, required=("model", "messages"))


@dataclass(frozen=True)
class ChatCall:
    """A validated body: the request, and how to deliver its answer. `ignored`: the paths of unknown fields that were
    ignored. `recorded`: fields to log with the request, such as user.
    """

    request: ChatRequest
    stream: bool
    include_usage: bool
    ignored: tuple[str, ...]
    recorded: Mapping[str, Any]


class Terms(msgspec.Struct, frozen=True):
    """What parsing a chat body depends on besides its bytes."""

    models: tuple[ModelCard, ...]
    account: str = ""
    hops: int = 0
    report_unknown: bool = False


def parse_raw_chat(raw: bytes, terms: Terms, catalog: Catalog) -> ChatCall:
    """`catalog` contains the models of `terms`. Raises RequestError, whose `param` names the field."""
    return parse_chat(
        parse_object(raw), catalog, account=terms.account, hops=terms.hops, report_unknown=terms.report_unknown
    )


def parse_chat_aside(tokenizers: Tokenizers, question: bytes) -> ChatCall:
    """`question`: the Terms as JSON on the first line, then the body."""
    head, _, raw = question.partition(b"\n")
    terms = msgspec.json.decode(head, type=Terms)
    return parse_raw_chat(raw, terms, Catalog(terms.models))


def parse_chat(
    body: object, catalog: Catalog, *, account: str = "", hops: int = 0, report_unknown: bool = False
) -> ChatCall:
    """Raises RequestError, whose `param` names the field."""
    body, ignored = without_unknown(CHAT_BODY, body) if report_unknown else (body, ())
    given = CHAT_BODY.parse(body, "")
    check_fields_together(given)
    card = catalog.resolve(given["model"])
    check_model(given, card)
    check_trace(given, card)
    values = DEFAULTS | given
    request = chat_request(values, card, account, hops)
    check_tools(request, card)
    check_size(list(places_in(request)))
    return ChatCall(
        request=request,
        stream=values["stream"],
        include_usage=(values["stream_options"] or {}).get("include_usage", False),
        ignored=ignored,
        recorded={name: given[name] for name in RECORDED if name in given},
    )


def chat_request(values: Mapping[str, Any], card: ModelCard, account: str, hops: int) -> ChatRequest:
    tools = build_tools(values)
    return ChatRequest(
        id=f"chatcmpl-{secrets.token_hex(12)}",
        model=card.name,
        messages=match_tool_results(values["messages"]),
        sampling=sampling_params(values),
        max_tokens=values["max_tokens"] or values["max_completion_tokens"] or card.max_tokens,
        stop=values["stop"] or (),
        n=values["n"],
        tier=values["tier"],
        response_format=build_format(values),
        tools=tools,
        tool_choice=build_choice(values, tools),
        parallel_tool_calls=values["parallel_tool_calls"],
        account=account,
        chat_template_kwargs=values["chat_template_kwargs"] or {},
        hops=hops,
        prefix=(values["trace"] or {}).get("prefix", ()),
    )


def sampling_params(values: Mapping[str, Any]) -> SamplingParams:
    seed = values["seed"]
    params = SamplingParams(
        temperature=values["temperature"],
        top_p=values["top_p"],
        top_k=values["top_k"] or 0,
        min_p=values["min_p"] or 0.0,
        seed=secrets.randbits(64) - 2**63 if seed is None else seed,
        frequency_penalty=values["frequency_penalty"],
        presence_penalty=values["presence_penalty"],
        repetition_penalty=values["repetition_penalty"],
        logit_bias=values["logit_bias"] or {},
        logprobs=values["top_logprobs"] if values["logprobs"] else None,
        trace=values["trace"]["top"] if values["trace"] else None,
    )
    return replace(params, reproducible=seed is not None or params.is_greedy)


def check_fields_together(given: Mapping[str, Any]) -> None:
    """The rules between fields that hold for every model."""
    old, new = given.get("max_tokens"), given.get("max_completion_tokens")
    if old is not None and new is not None and old != new:
        raise InvalidParameter(
            f"max_tokens is {old} and max_completion_tokens is {new}; they are the same parameter. Send one of them.",
            param="max_completion_tokens",
        )
    if given.get("top_logprobs") and not given.get("logprobs"):
        raise InvalidParameter(
            "top_logprobs requires logprobs: true. Send it as well, or leave top_logprobs out.", param="top_logprobs"
        )
    if wants_json(given) and not any("json" in message.content.lower() for message in given["messages"]):
        raise InvalidParameter(
            "response_format is json_object, but none of the messages mentions JSON. Instruct the model to output JSON "
            "in a message; otherwise it fills the object with anything.",
            param="messages",
        )
    if "stream_options" in given and not given.get("stream"):
        raise InvalidParameter(
            "stream_options requires stream: true. Send it as well, or leave stream_options out.",
            param="stream_options",
        )


def check_tools(request: ChatRequest, card: ModelCard) -> None:
    """Raises UnsupportedParameter."""
    uses_tools = any(message.tool_calls or message.role == "tool" for message in request.messages)
    if (request.calls_tools or uses_tools) and not card.calls_tools:
        raise UnsupportedParameter(
            f"{card.name} does not support tools: its chat template cannot describe them. Leave tools out, or ask the "
            "operator to set tool_prompt to generic.",
            param="tools" if request.tools else "messages",
        )


def wants_json(given: Mapping[str, Any]) -> bool:
    return bool(given.get("response_format", DEFAULTS["response_format"])["type"] == "json_object")


def check_model(given: Mapping[str, Any], card: ModelCard) -> None:
    """Raises InvalidParameter or UnsupportedParameter for what this model does not support."""
    tier = given.get("tier", DEFAULTS["tier"])
    if tier not in card.tiers:
        raise InvalidParameter(f'tier is "{tier}", but {card.name} supports {" and ".join(card.tiers)}.', param="tier")
    foreign = max(given.get("logit_bias", ()), default=0)
    if card.vocabulary_size is not None and foreign >= card.vocabulary_size:
        raise InvalidParameter(
            f"logit_bias names token {foreign}, but the highest token id of {card.name} is {card.vocabulary_size - 1}. "
            "POST /tokenize returns the ids of a text.",
            param="logit_bias",
        )
    wanted = given.get("response_format", DEFAULTS["response_format"])["type"]
    if wanted != "text" and not card.writes_json:
        raise UnsupportedParameter(
            f"response_format is {wanted}, but the vocabulary of {card.name} lacks tokens that JSON needs. Send text.",
            param="response_format",
        )
    check_template_kwargs(given.get("chat_template_kwargs", {}), card)


def check_trace(given: Mapping[str, Any], card: ModelCard) -> None:
    """Raises InvalidParameter or UnsupportedParameter."""
    trace = given.get("trace")
    if trace is None:
        return
    n = given.get("n", DEFAULTS["n"])
    most = given.get("max_tokens") or given.get("max_completion_tokens") or card.max_tokens or card.context or 0
    if trace["top"] * n * min(most, card.context or most) > MAX_TRACED_CANDIDATES:
        raise InvalidParameter(
            f"trace.top × n × max_tokens is {trace['top']} × {n} × {most}, but may be at most "
            f"{MAX_TRACED_CANDIDATES}. Lower max_tokens or trace.top.",
            param="trace",
        )
    if trace.get("prefix"):
        check_prefix(trace["prefix"], given, card, most)


def check_prefix(prefix: tuple[int, ...], given: Mapping[str, Any], card: ModelCard, max_tokens: int) -> None:
    for name in ("response_format", "tools", "logprobs"):
        if given.get(name, DEFAULTS[name]) not in (DEFAULTS[name], ()):
            raise UnsupportedParameter(
                f"trace.prefix can't be combined with {name}. Leave one of them out.", param="trace.prefix"
            )
    if len(prefix) >= max_tokens:
        raise InvalidParameter(
            f"trace.prefix has {len(prefix)} tokens, but max_tokens is {max_tokens} and includes them. "
            "Raise max_tokens, or shorten the prefix.",
            param="trace.prefix",
        )
    if card.vocabulary_size is not None and max(prefix) >= card.vocabulary_size:
        raise InvalidParameter(
            f"trace.prefix contains token {max(prefix)}, but the highest token id of {card.name} is "
            f"{card.vocabulary_size - 1}.",
            param="trace.prefix",
        )


def check_template_kwargs(kwargs: Mapping[str, Any], card: ModelCard) -> None:
    for name in kwargs:
        if name not in card.template_kwargs:
            allowed = ", ".join(card.template_kwargs) or "none"
            raise UnsupportedParameter(
                f"chat_template_kwargs.{abbreviate(name)} is not supported. {card.name} allows {allowed}."
                f"{nearest(name, card.template_kwargs)}",
                param=f"chat_template_kwargs.{abbreviate(name)}",
            )
