"""Traces over the API: one entry for each token, the same text with and without, and the numbers that they promise."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.server import RunningServer

STORY = [{"role": "user", "content": "Tell me a story about the sea."}]
PERSON = [{"role": "user", "content": "Describe a person as JSON."}]
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SETTINGS: list[dict[str, Any]] = [
    {"messages": STORY, "temperature": 1.3},
    {"messages": STORY, "temperature": 0},
    {"messages": STORY, "top_k": 20, "top_p": 0.9, "min_p": 0.05, "frequency_penalty": 0.7, "presence_penalty": 0.2},
    {"messages": STORY, "repetition_penalty": 1.3, "logit_bias": {"300": 5}, "stop": [" the"]},
    {"messages": STORY, "n": 3, "logprobs": True, "top_logprobs": 2},
    {"messages": PERSON, "response_format": {"type": "json_object"}, "max_tokens": 12},
    {
        "messages": PERSON,
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}},
    },
    {"messages": [{"role": "user", "content": "Weather in Rome?"}], "tools": [WEATHER], "tool_choice": "required"},
]


@pytest.fixture(scope="module")
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base_url, timeout=60) as one:
        yield one


def complete(http: httpx.Client, **fields: Any) -> Any:
    body = {"model": "oruel-demo", "messages": STORY, "seed": 11, "max_tokens": 40} | fields
    answer = http.post("chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("fields", SETTINGS, ids=lambda fields: ",".join(fields))
def test_a_trace_leaves_the_text_as_it_is(http: httpx.Client, fields: dict[str, Any]) -> None:
    plain, traced = complete(http, **fields), complete(http, **fields, trace={"top": 3})
    for without, with_trace in zip(plain["choices"], traced["choices"], strict=True):
        calls = with_trace["message"].get("tool_calls", [])
        for call, other in zip(calls, without["message"].get("tool_calls", []), strict=True):
            assert call["function"] == other["function"]
            call["id"] = other["id"]
        assert with_trace["message"] == without["message"]
        assert with_trace["logprobs"] == without["logprobs"]
        assert "trace" not in without
    assert traced["usage"]["completion_tokens"] == plain["usage"]["completion_tokens"]
    assert sum(len(choice["trace"]) for choice in traced["choices"]) == traced["usage"]["completion_tokens"]


@pytest.mark.parametrize("fields", SETTINGS, ids=lambda fields: ",".join(fields))
def test_a_stream_has_the_trace_of_the_whole_answer(client: OpenAI, http: httpx.Client, fields: dict[str, Any]) -> None:
    fields = {"seed": 11, "max_tokens": 40, **fields}
    whole = complete(http, **fields, trace={"top": 2})
    own = ("repetition_penalty", "min_p", "top_k")
    extra = {name: fields.pop(name) for name in own if name in fields}
    streamed: list[list[Any]] = [[] for _ in whole["choices"]]
    stream = client.chat.completions.create(
        model="oruel-demo", stream=True, extra_body={**extra, "trace": {"top": 2}}, **fields
    )
    for chunk in stream:
        for choice in chunk.choices:
            streamed[choice.index] += (choice.model_extra or {}).get("trace", [])
    assert streamed == [choice["trace"] for choice in whole["choices"]]


def test_the_text_of_the_tokens_is_the_answer(http: httpx.Client) -> None:
    (choice,) = complete(http, trace={"top": 1})["choices"]
    data = b"".join(bytes(entry["bytes"]) for entry in choice["trace"])
    assert data.decode() == choice["message"]["content"]


def test_the_model_s_probabilities_are_those_of_logprobs(http: httpx.Client) -> None:
    (choice,) = complete(http, trace={"top": 5}, logprobs=True, top_logprobs=5, temperature=1.5)["choices"]
    for entry, logprob in zip(choice["trace"], choice["logprobs"]["content"], strict=True):
        own = next(one for one in entry["candidates"] if one["id"] == entry["id"])
        assert own["bytes"] == logprob["bytes"]
        assert own["probability"] == pytest.approx(2.718281828459045 ** logprob["logprob"], rel=1e-9)
        best = sorted((one["probability"] for one in entry["candidates"]), reverse=True)[:5]
        assert best == pytest.approx([2.718281828459045 ** one["logprob"] for one in logprob["top_logprobs"]], rel=1e-9)


def test_masses_add_up_to_the_whole_distribution(http: httpx.Client) -> None:
    (choice,) = complete(http, trace={"top": 50}, temperature=1.2)["choices"]
    for entry in choice["trace"]:
        listed = sum(one["probability"] for one in entry["candidates"])
        assert listed + sum(entry["rest"]["masses"]) == pytest.approx(1)
        assert len(entry["candidates"]) + sum(entry["rest"]["counts"]) == entry["allowed"]["count"]


def test_forced_and_closing_tokens_say_so(http: httpx.Client) -> None:
    (choice,) = complete(http, **SETTINGS[6], trace={"top": 1})["choices"]
    sources = {entry["token"]: entry["source"] for entry in choice["trace"]}
    assert sources["name"] == sources["age"] == "forced"
    (choice,) = complete(http, **SETTINGS[5], trace={"top": 1})["choices"]
    assert choice["trace"][-1]["source"] == "closing"
    assert choice["trace"][0]["source"] == "drawn"
    assert choice["trace"][0]["steps"][0] == "mask"
    assert choice["trace"][0]["allowed"]["count"] < 10


def test_an_answer_continues_from_its_own_tokens(http: httpx.Client) -> None:
    (choice,) = complete(http, trace={"top": 1}, temperature=1.2, frequency_penalty=1, max_tokens=60)["choices"]
    ids = [entry["id"] for entry in choice["trace"]]
    for count in (1, 20, len(ids) - 1):
        fields = {"temperature": 1.2, "frequency_penalty": 1, "max_tokens": 60}
        (again,) = complete(http, trace={"top": 1, "prefix": ids[:count]}, **fields)["choices"]
        assert again["message"] == choice["message"]
        assert [entry["id"] for entry in again["trace"]] == ids
        assert [entry["source"] for entry in again["trace"][:count]] == ["prefix"] * count
        assert again["trace"][count:] == choice["trace"][count:]


def test_an_answer_continues_from_another_candidate(http: httpx.Client) -> None:
    (choice,) = complete(http, trace={"top": 5}, temperature=0)["choices"]
    other = next(one for one in choice["trace"][3]["candidates"] if one["id"] != choice["trace"][3]["id"])
    prefix = [*(entry["id"] for entry in choice["trace"][:3]), other["id"]]
    (branch,) = complete(http, trace={"top": 5, "prefix": prefix}, temperature=0)["choices"]
    before = b"".join(bytes(entry["bytes"]) for entry in choice["trace"][:3]).decode()
    assert branch["message"]["content"].startswith(before + other["token"])
    assert branch["message"]["content"] != choice["message"]["content"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"trace": {"top": 0}}, "trace.top"),
        ({"trace": {"top": 51}}, "trace.top"),
        ({"trace": {}}, "trace.top"),
        ({"trace": True}, "trace"),
        ({"trace": {"top": 1, "bottom": 1}}, "trace.bottom"),
        ({"trace": {"top": 50}, "n": 8}, "trace"),
        ({"trace": {"top": 1, "prefix": [3072]}}, "trace.prefix"),
        ({"trace": {"top": 1, "prefix": [-1]}}, "trace.prefix[0]"),
        ({"trace": {"top": 1, "prefix": [5, 6]}, "max_tokens": 2}, "trace.prefix"),
        ({"trace": {"top": 1, "prefix": [5]}, "logprobs": True}, "trace.prefix"),
        ({"trace": {"top": 1, "prefix": [5]}, "tools": [WEATHER]}, "trace.prefix"),
        (
            {"trace": {"top": 1, "prefix": [5]}, **SETTINGS[5]},
            "trace.prefix",
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_a_trace_cannot_do_is_refused_by_name(http: httpx.Client, fields: dict[str, Any], param: str) -> None:
    answer = http.post("chat/completions", json={"model": "oruel-demo", "messages": STORY} | fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
