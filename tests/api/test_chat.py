"""Answers: their shape, the requests the backend gets, and that streams join to the whole answer."""

import json
from typing import Any

import httpx2
import pytest

from oruel.api.chat.body import FIELDS
from oruel.types import Alternative, ChatRequest, Delta, Message, SamplingParams, TokenLogprob, Usage
from tests.api.conftest import Client, Serve, chat
from tests.fakes import MODEL, FakeBackend, delta, doing, saying

pytestmark = pytest.mark.anyio

URL = "/v1/chat/completions"


async def ask(client: Client, **fields: Any) -> dict[str, Any]:
    response = await client.post(URL, json=chat(**fields))
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def asked(client: Client, backend: FakeBackend, **fields: Any) -> ChatRequest:
    await ask(client, **fields)
    return backend.requests[-1]


def chunks(response: httpx2.Response) -> list[dict[str, Any]]:
    events = response.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    return [json.loads(event.removeprefix("data: ")) for event in events[:-2] if not event.startswith(":")]


async def test_an_answer_has_exactly_openais_shape_and_the_tier(client: Client) -> None:
    answer = await ask(client)
    assert answer.pop("id").startswith("chatcmpl-")
    assert isinstance(answer.pop("created"), int)
    assert answer == {
        "object": "chat.completion",
        "model": MODEL,
        "tier": "standard",
        "system_fingerprint": "fp-test",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello world", "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 7,
            "completion_tokens": 2,
            "total_tokens": 9,
            "prompt_tokens_details": {"cached_tokens": 3},
        },
    }


async def test_a_request_without_parameters_gets_the_defaults_of_the_page(client: Client, backend: FakeBackend) -> None:
    request = await asked(client, backend)
    seed = request.sampling.seed
    assert request.sampling == SamplingParams(temperature=0.7, seed=seed, reproducible=False)
    assert (request.max_tokens, request.stop, request.n, request.tier) == (None, (), 1, "standard")
    assert request.messages == (Message("user", "hi"),)


async def test_null_is_unset_for_every_optional_field(client: Client, backend: FakeBackend) -> None:
    nothing = dict.fromkeys(FIELDS.keys() - {"model", "messages"})
    request = await asked(client, backend, **nothing)
    assert request.sampling == SamplingParams(temperature=0.7, seed=request.sampling.seed, reproducible=False)


async def test_every_parameter_reaches_the_backend(client: Client, backend: FakeBackend) -> None:
    sent = {
        "temperature": 1.5,
        "top_p": 0.9,
        "top_k": 50,
        "min_p": 0.05,
        "seed": -5,
        "frequency_penalty": 0.3,
        "presence_penalty": -0.8,
        "repetition_penalty": 1.15,
        "logit_bias": {"17": -100, "999": 2.5},
        "logprobs": True,
        "top_logprobs": 3,
    }
    request = await asked(
        client, backend, **sent, max_tokens=50, stop=["a", "b"], n=2, tier="turbo",
        chat_template_kwargs={"enable_thinking": False},
    )  # fmt: skip
    assert request.sampling == SamplingParams(
        temperature=1.5, top_p=0.9, top_k=50, min_p=0.05, seed=-5, frequency_penalty=0.3, presence_penalty=-0.8,
        repetition_penalty=1.15, logit_bias={17: -100.0, 999: 2.5}, logprobs=3,
    )  # fmt: skip
    assert (request.max_tokens, request.stop, request.n, request.tier) == (50, ("a", "b"), 2, "turbo")
    assert request.chat_template_kwargs == {"enable_thinking": False}


EDGES: list[dict[str, Any]] = [
    {"temperature": 0}, {"temperature": 2}, {"temperature": 1e-300}, {"top_p": 0}, {"top_p": 1}, {"top_k": 0},
    {"top_k": 200}, {"top_k": 5.0}, {"min_p": 0}, {"min_p": 1}, {"seed": -(2**63)}, {"seed": 2**63 - 1}, {"seed": 0},
    {"max_tokens": 1}, {"max_tokens": 131072}, {"max_completion_tokens": 1}, {"max_completion_tokens": 131072},
    {"max_tokens": 5, "max_completion_tokens": 5}, {"stop": "x"}, {"stop": "é" * 256}, {"stop": []},
    {"stop": ["😀" * 256] * 4}, {"frequency_penalty": -2}, {"frequency_penalty": 2}, {"presence_penalty": -2},
    {"presence_penalty": 2}, {"repetition_penalty": 0.1}, {"repetition_penalty": 3}, {"n": 1}, {"n": 8},
    {"logprobs": True, "top_logprobs": 0}, {"logprobs": True, "top_logprobs": 20}, {"top_logprobs": 0},
    {"logit_bias": {}}, {"logit_bias": {"0": -100, "999": 100}}, {"logit_bias": {str(i): 0 for i in range(1000)}},
    {"tier": "turbo"}, {"tier": "standard"}, {"response_format": {"type": "text"}}, {"stream": False}, {"tools": []},
    {"tool_choice": "none"}, {"tool_choice": "auto"}, {"parallel_tool_calls": False}, {"chat_template_kwargs": {}},
    {"model": "llama-4-maverick"},
]  # fmt: skip


@pytest.mark.parametrize("fields", EDGES, ids=lambda fields: str(fields)[:60])
async def test_the_limits_of_each_range_are_accepted(client: Client, fields: dict[str, Any]) -> None:
    await ask(client, **fields)


OPENAIS = [
    {"user": "u"}, {"metadata": {f"key{i}": "v" * 512 for i in range(16)}}, {"safety_identifier": "s"},
    {"store": False}, {"service_tier": "auto"}, {"service_tier": "default"}, {"prompt_cache_key": "k"},
    {"prompt_cache_retention": "24h"}, {"modalities": ["text"]}, {"verbosity": "medium"}, {"function_call": "none"},
    {"functions": []}, {"reasoning_effort": "none"},
    {"stream": True, "stream_options": {"include_obfuscation": False}},
]  # fmt: skip


@pytest.mark.parametrize("fields", OPENAIS, ids=str)
async def test_neutral_values_of_openais_fields_are_accepted(client: Client, fields: dict[str, Any]) -> None:
    assert (await client.post(URL, json=chat(**fields))).status_code == 200


async def test_an_unset_seed_is_fresh_for_every_request(client: Client, backend: FakeBackend) -> None:
    seeds = {(await asked(client, backend)).sampling.seed for _ in range(20)}
    assert len(seeds) == 20
    assert all(-(2**63) <= seed < 2**63 for seed in seeds)


async def test_an_alias_is_answered_by_its_model(client: Client, backend: FakeBackend) -> None:
    answer = await ask(client, model="llama-4-maverick")
    assert (answer["model"], backend.requests[-1].model) == (MODEL, MODEL)


async def test_the_tier_that_served_is_echoed(client: Client) -> None:
    assert (await ask(client, tier="turbo"))["tier"] == "turbo"


@pytest.mark.parametrize("prefix", ["/v1", "/v1/inference"])
async def test_both_base_urls_serve_the_same_endpoints(client: Client, prefix: str) -> None:
    assert (await client.post(f"{prefix}/chat/completions", json=chat())).status_code == 200
    assert (await client.get(f"{prefix}/models")).json() == (await client.get("/v1/models")).json()
    assert (await client.get(f"{prefix}/parameters")).status_code == 200


MESSAGES: list[tuple[dict[str, Any], Message]] = [
    ({"role": "system", "content": "be brief"}, Message("system", "be brief")),
    ({"role": "developer", "content": "be brief"}, Message("system", "be brief")),
    ({"role": "user", "content": "", "name": "ann"}, Message("user", "", name="ann")),
    (
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        Message("user", "ab"),
    ),
    ({"role": "user", "content": "<|im_end|>"}, Message("user", "<|im_end|>")),
    ({"role": "assistant", "content": ""}, Message("assistant", "")),
    (
        {"role": "assistant", "content": None, "reasoning_content": "because"},
        Message("assistant", "", reasoning_content="because"),
    ),
    ({"role": "assistant", "content": None, "refusal": "No."}, Message("assistant", "No.")),
    (
        {"role": "assistant", "content": "a", "reasoning_content": "because"},
        Message("assistant", "a", reasoning_content="because"),
    ),
    (
        {
            "role": "assistant", "content": "a", "refusal": None, "annotations": [], "audio": None,
            "function_call": None, "tool_calls": None, "reasoning_content": None,
        },
        Message("assistant", "a"),
    ),
    ({"role": "assistant", "content": "a", "tool_calls": []}, Message("assistant", "a")),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "understood"), MESSAGES, ids=str)
async def test_each_role_and_kind_of_content_is_parsed(
    client: Client, backend: FakeBackend, sent: dict[str, Any], understood: Message
) -> None:
    assert (await asked(client, backend, messages=[sent])).messages == (understood,)


async def test_the_message_of_an_answer_is_accepted_unchanged(client: Client, backend: FakeBackend) -> None:
    message = (await ask(client))["choices"][0]["message"]
    history = [{"role": "user", "content": "hi"}, message, {"role": "user", "content": "more"}]
    assert (await asked(client, backend, messages=history)).messages[1] == Message("assistant", "Hello world")


def calling(**calls: str) -> dict[str, Any]:
    """An assistant's calls of `f`, their arguments by their ids."""
    described = [{"id": id, "function": {"name": "f", "arguments": given}} for id, given in calls.items()]
    return {"role": "assistant", "content": None, "tool_calls": described}


def result(id: str) -> dict[str, Any]:
    return {"role": "tool", "content": f"{id} done", "tool_call_id": id}


async def test_results_may_come_in_any_order_and_later_turns_reuse_ids(client: Client, backend: FakeBackend) -> None:
    hi = {"role": "user", "content": "hi"}
    history = [hi, calling(a="{}", b="{}"), result("b"), result("a"), calling(a='{"x": 1}'), result("a"), hi]
    messages = (await asked(client, backend, messages=history)).messages
    assert [(m.name, m.tool_call_id) for m in messages if m.role == "tool"] == [("f", "b"), ("f", "a"), ("f", "a")]


@pytest.mark.parametrize("nothing", ["", " ", "{}"])
async def test_a_call_of_a_function_without_parameters_may_have_empty_arguments(
    client: Client, backend: FakeBackend, nothing: str
) -> None:
    request = await asked(client, backend, messages=[calling(a=nothing), result("a")])
    assert request.messages[0].tool_calls[0].arguments == "{}"


async def test_4096_messages_are_accepted(client: Client, backend: FakeBackend) -> None:
    request = await asked(client, backend, messages=[{"role": "user", "content": "x"}] * 4096)
    assert len(request.messages) == 4096


async def test_each_choice_has_its_own_text(client: Client, backend: FakeBackend) -> None:
    backend.script = doing(
        delta("a", choice=1),
        delta("b", choice=0),
        delta("c", choice=1),
        delta(choice=1, finish="length"),
        delta("d", choice=0, finish="stop", usage=Usage(1, 4)),
    )
    choices = (await ask(client, n=2))["choices"]
    assert [(c["index"], c["message"]["content"], c["finish_reason"]) for c in choices] == [
        (0, "bd", "stop"),
        (1, "ac", "length"),
    ]


async def test_logprobs_have_openais_shape(client: Client, backend: FakeBackend) -> None:
    half = TokenLogprob(5, b"\xc3", -0.25, (Alternative(5, b"\xc3", -0.25), Alternative(6, b"x", float("-inf"))))
    backend.script = doing(delta("", logprobs=(half,)), delta(finish="stop", usage=Usage(1, 2)))
    choice = (await ask(client, logprobs=True, top_logprobs=2))["choices"][0]
    assert choice["logprobs"] == {
        "content": [
            {
                "token": "\N{REPLACEMENT CHARACTER}",
                "logprob": -0.25,
                "bytes": [0xC3],
                "top_logprobs": [
                    {"token": "\N{REPLACEMENT CHARACTER}", "logprob": -0.25, "bytes": [0xC3]},
                    {"token": "x", "logprob": -9999.0, "bytes": [ord("x")]},
                ],
            }
        ],
        "refusal": None,
    }


@pytest.mark.parametrize("n", [1, 3])
async def test_a_stream_joined_is_the_unstreamed_answer(client: Client, backend: FakeBackend, n: int) -> None:
    backend.script = saying("héllo", "", " 😀", "\n\ndata: [DONE]\n\n")
    whole = await ask(client, n=n, logprobs=True)
    streamed = chunks(await client.post(URL, json=chat(n=n, logprobs=True, stream=True)))
    for choice in whole["choices"]:
        mine = [c["choices"][0] for c in streamed if c["choices"][0]["index"] == choice["index"]]
        assert mine[0]["delta"] == {"role": "assistant", "content": ""}
        assert "".join(c["delta"].get("content", "") for c in mine) == choice["message"]["content"]
        assert [t for c in mine if c["logprobs"] for t in c["logprobs"]["content"]] == choice["logprobs"]["content"]
        assert [c["finish_reason"] for c in mine] == [None] * (len(mine) - 1) + ["stop"]
        assert mine[-1]["delta"] == {}
    assert streamed[-1]["usage"] == whole["usage"]
    assert all("usage" not in chunk for chunk in streamed[:-1])


async def test_every_chunk_names_the_answer_the_model_and_the_tier(client: Client) -> None:
    streamed = chunks(await client.post(URL, json=chat(stream=True, tier="turbo", model="llama-4-maverick")))
    constants = {(c["id"], c["object"], c["created"], c["model"], c["tier"], c["system_fingerprint"]) for c in streamed}
    assert len(constants) == 1
    assert constants.pop()[3:] == (MODEL, "turbo", "fp-test")


async def test_include_usage_sends_the_usage_in_a_last_chunk_without_choices(client: Client) -> None:
    body = chat(stream=True, stream_options={"include_usage": True})
    *before, last = chunks(await client.post(URL, json=body))
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 9
    assert all(chunk["usage"] is None for chunk in before)
    assert before[-1]["choices"][0]["finish_reason"] == "stop"


async def test_held_back_text_makes_no_empty_chunks(client: Client, backend: FakeBackend) -> None:
    nothing: Delta = delta()
    backend.script = doing(nothing, nothing, delta("x"), delta(finish="stop", usage=Usage(1, 3)))
    streamed = chunks(await client.post(URL, json=chat(stream=True)))
    assert [c["choices"][0]["delta"] for c in streamed] == [{"role": "assistant", "content": ""}, {"content": "x"}, {}]


async def test_ignored_fields_are_named_in_a_header_with_unknown_fields_report(
    serve: Serve, backend: FakeBackend
) -> None:
    client = serve(unknown_fields="report")
    messages = [{"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {}}], "color": 1}]
    body = chat(messages=messages, grammar="x", **{"gé\n": 1})
    response = await client.post(URL, json=body)
    named = response.headers["x-oruel-ignored"].split(", ")
    assert named == ["grammar", "g??", "messages[0].color", "messages[0].content[0].cache_control"]
    assert backend.requests[-1].messages == (Message("user", "hi"),)
    streamed = await client.post(URL, json=body | {"stream": True})
    assert streamed.headers["x-oruel-ignored"].split(", ") == named
    assert (await client.post(URL, json=chat(temperature=3))).status_code == 400


async def test_a_request_without_unknown_fields_has_no_such_header(serve: Serve) -> None:
    response = await serve(unknown_fields="report").post(URL, json=chat())
    assert "x-oruel-ignored" not in response.headers
