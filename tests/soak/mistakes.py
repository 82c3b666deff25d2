"""Deliberately invalid requests, one mistake each, with the refusal that each must get."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from oruel.contract.parameters import PARAMETERS
from tests.soak.plan import Plan, Refusal
from tests.soak.prompts import overlong_prompt
from tests.soak.values import wrong_value

Mistake = Callable[[Plan, Random, int], Plan]


def add_mistake(plan: Plan, random: Random, window: int) -> Plan:
    """Adds one mistake to a valid plan. Half of the mistakes are invalid parameter values."""
    if random.random() < 0.5:
        return wrong_parameter(plan, random)
    return random.choice(MISTAKES)(plan, random, window)


def wrong_parameter(plan: Plan, random: Random) -> Plan:
    parameter = random.choice(PARAMETERS)
    value = wrong_value(parameter.kind, random)
    return with_fields(plan, {parameter.name: value}, Refusal(400, param=parameter.name))


def wrong_messages(plan: Plan, random: Random, window: int) -> Plan:
    user = {"role": "user"}
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    messages: Any = random.choice(
        (
            None,
            [],
            "Hello",
            [user],
            [user | {"content": 7}],
            [user | {"content": "a lone surrogate: \ud83d"}],
            [user | {"content": [image]}],
            [{"role": "nobody", "content": "Hello"}],
        )
    )
    return with_fields(plan, {"messages": messages}, Refusal(400, param="messages"))


def unknown_field(plan: Plan, random: Random, window: int) -> Plan:
    name = random.choice(("temprature", "max_token", "best_of", "x" * 1000))
    return with_fields(plan, {name: 1}, Refusal(400, "unknown_parameter", name[:40]))


def unknown_model(plan: Plan, random: Random, window: int) -> Plan:
    return with_fields(plan, {"model": "none such"}, Refusal(404, "model_not_found", "model"))


def missing_model(plan: Plan, random: Random, window: int) -> Plan:
    return with_fields(plan, {"model": None}, Refusal(400, param="model"))


def lone_top_logprobs(plan: Plan, random: Random, window: int) -> Plan:
    return with_fields(plan, {"logprobs": False, "top_logprobs": 3}, Refusal(400, param="top_logprobs"))


def lone_stream_options(plan: Plan, random: Random, window: int) -> Plan:
    options = {"stream": False, "stream_options": {"include_usage": True}}
    return with_fields(plan, options, Refusal(400, param="stream_options"))


def two_lengths(plan: Plan, random: Random, window: int) -> Plan:
    lengths = {"max_tokens": 3, "max_completion_tokens": 4}
    return with_fields(plan, lengths, Refusal(400, param="max_completion_tokens"))


def too_long(plan: Plan, random: Random, window: int) -> Plan:
    messages = [{"role": "user", "content": overlong_prompt(random, window)}]
    return with_fields(plan, {"messages": messages}, Refusal(400, "context_length_exceeded", "messages"))


def invalid_json(plan: Plan, random: Random, window: int) -> Plan:
    raw = random.choice((b"", b"[]", b"\xff\xfe", b"[" * 100_000, plan.content[:-1], plan.content + b"}"))
    return replace(plan, raw=raw, refusal=Refusal(400, "invalid_body"))


def wrong_content_type(plan: Plan, random: Random, window: int) -> Plan:
    return replace(plan, headers={"content-type": "text/plain"}, refusal=Refusal(415))


def invalid_deadline(plan: Plan, random: Random, window: int) -> Plan:
    seconds = random.choice(("soon", "0", "-1", "nan", "1e9"))
    return replace(plan, headers={"x-request-timeout": seconds}, refusal=Refusal(400, param="x-request-timeout"))


def wrong_endpoint(plan: Plan, random: Random, window: int) -> Plan:
    return replace(plan, path="/v1/chat/completion", refusal=Refusal(404, "not_found"))


def wrong_method(plan: Plan, random: Random, window: int) -> Plan:
    return replace(plan, path="/v1/models", refusal=Refusal(405))


MISTAKES: tuple[Mistake, ...] = (
    wrong_messages,
    unknown_field,
    unknown_model,
    missing_model,
    lone_top_logprobs,
    lone_stream_options,
    two_lengths,
    too_long,
    invalid_json,
    wrong_content_type,
    invalid_deadline,
    wrong_endpoint,
    wrong_method,
)


def with_fields(plan: Plan, fields: dict[str, Any], refusal: Refusal) -> Plan:
    return replace(plan, body={**plan.body, **fields}, headers={}, refusal=refusal)
