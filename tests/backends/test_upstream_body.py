"""Requests to upstream servers: every parameter reaches them under their own name, or is refused."""

import json
import math
import random
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from bench.servers import ServerProcess as Served
from bench.servers import Setting, llama_server
from oruel.backends.abilities import verdict
from oruel.backends.upstream_body import MAX_CHOICES, PENALTY_WINDOW, upstream_body
from oruel.contract.parameters import PARAMETERS
from oruel.types import ChatRequest, Message, ResponseFormat, SamplingParams, Tool, ToolCall, ToolChoice, UpstreamKind
from tests.backends.test_abilities import KINDS, NAMED, TOOLS, Fields, request_of
from tests.gguf_models import llama_model

REQUEST = ChatRequest("id", "mine", (Message("user", "Hello"),), SamplingParams(reproducible=False), max_tokens=20)

# A request without the parameter, and one with it.
SCHEMA = {"name": "s", "schema": {"type": "object"}}
EXAMPLES: dict[str, tuple[Fields, Fields]] = {
    "temperature": ({}, {"temperature": 0.3}),
    "top_p": ({}, {"top_p": 0.5}),
    "top_k": ({}, {"top_k": 40}),
    "min_p": ({}, {"min_p": 0.1}),
    "seed": ({}, {"seed": 7}),
    "max_tokens": ({}, {"max_tokens": 5}),
    "max_completion_tokens": ({}, {"max_completion_tokens": 5}),
    "stop": ({}, {"stop": "END"}),
    "frequency_penalty": ({}, {"frequency_penalty": 0.5}),
    "presence_penalty": ({}, {"presence_penalty": 0.5}),
    "repetition_penalty": ({}, {"repetition_penalty": 1.1}),
    "response_format": ({}, {"response_format": {"type": "json_schema", "json_schema": SCHEMA}}),
    "tools": ({}, TOOLS),
    "tool_choice": (TOOLS, {**TOOLS, "tool_choice": NAMED}),
    "parallel_tool_calls": (TOOLS, {**TOOLS, "parallel_tool_calls": False}),
    "n": ({}, {"n": 2}),
    "logprobs": ({}, {"logprobs": True}),
    "top_logprobs": ({"logprobs": True}, {"logprobs": True, "top_logprobs": 5}),
    "logit_bias": ({}, {"logit_bias": {"5": 1.5}}),
    "chat_template_kwargs": ({}, {"chat_template_kwargs": {"thinks": True}}),
    "trace": ({}, {"trace": {"top": 5}}),
}
LOCAL = {"stream", "stream_options", "tier"}
"""Honoured by Oru'el: upstream servers always stream, and the tier only chooses a deployment."""


STOPPED_LOCALLY = {"vllm", "sglang", "llama-server"}
"""Kinds whose answers Oru'el cuts at a stop string itself."""


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for name in EXAMPLES for kind in KINDS if name != "stop" or kind not in STOPPED_LOCALLY],
)
def test_every_parameter_reaches_the_upstream_server_or_is_refused(kind: UpstreamKind, name: str) -> None:
    without, with_parameter = (request_of(**fields) for fields in EXAMPLES[name])
    reaches = upstream_body(with_parameter, kind, "theirs") != upstream_body(without, kind, "theirs")
    assert reaches or name in verdict(kind, with_parameter).refused


def test_every_parameter_of_the_contract_has_an_example() -> None:
    assert EXAMPLES.keys() | LOCAL == {one.name for one in PARAMETERS if one.served}


def test_the_tier_is_only_sent_to_oruel_servers() -> None:
    for kind in KINDS:
        body = upstream_body(replace(REQUEST, tier="turbo"), kind, "theirs")
        assert body.get("tier") == ("turbo" if kind == "oruel" else None)
        assert body["stream"] is True


def test_each_kind_gets_its_own_parameter_names() -> None:
    sampling = SamplingParams(
        temperature=0.5, top_p=0.9, top_k=0, min_p=0.1, seed=7, repetition_penalty=1.2, logit_bias={5: -1.5}, logprobs=3
    )
    bodies = {kind: upstream_body(replace(REQUEST, sampling=sampling), kind, "theirs") for kind in KINDS}
    vllm, llama, openai = bodies["vllm"], bodies["llama-server"], bodies["openai"]
    assert vllm == bodies["sglang"] | {"top_logprobs": 4}
    assert (vllm["top_k"], vllm["repetition_penalty"], vllm["min_p"], vllm["max_tokens"]) == (-1, 1.2, 0.1, 20)
    assert (llama["top_k"], llama["repeat_penalty"], llama["min_p"]) == (0, 1.2, 0.1)
    assert "repetition_penalty" not in llama
    assert not {"top_k", "min_p", "repetition_penalty", "max_tokens"} & openai.keys()
    assert openai["max_completion_tokens"] == 20
    assert (bodies["oruel"]["top_k"], bodies["oruel"]["tier"]) == (0, "standard")
    for body in bodies.values():
        assert body["model"] == "theirs"
        assert (body["temperature"], body["top_p"], body["seed"]) == (0.5, 0.9, 7)
        assert (body["logit_bias"], body["logprobs"]) == ({"5": -1.5}, True)
        assert body["top_logprobs"] == 3 or body is vllm


@pytest.mark.parametrize(
    "sampling", [SamplingParams(top_p=0.0), SamplingParams(top_k=1), SamplingParams(temperature=0.0)], ids=str
)
@pytest.mark.parametrize("kind", KINDS)
def test_greedy_requests_avoid_what_some_servers_refuse(kind: UpstreamKind, sampling: SamplingParams) -> None:
    body = upstream_body(replace(REQUEST, sampling=replace(sampling, min_p=0.5)), kind, "theirs")
    assert (body["temperature"], body["top_p"], body.get("min_p", 0)) == (0.0, 1.0, 0)
    assert body.get("top_k", -1) in (-1, 0)
    assert "seed" not in body


def test_greedy_requests_with_several_choices_suit_vllm() -> None:
    body = upstream_body(replace(REQUEST, sampling=SamplingParams(temperature=0.0), n=2), "vllm", "theirs")
    assert (body["temperature"], body["top_k"], body["n"]) == (1.0, 1, 2)


@pytest.mark.parametrize("seed", [-(2**63), -1, 0, 7, 2**32 - 1, 2**32 - 2, 2**63 - 1])
def test_each_server_gets_seeds_that_it_honours_for_every_choice(seed: int) -> None:
    request = replace(REQUEST, sampling=SamplingParams(seed=seed), n=MAX_CHOICES)
    sent = {kind: upstream_body(request, kind, "theirs")["seed"] for kind in KINDS}
    assert 0 <= sent["llama-server"] < sent["llama-server"] + MAX_CHOICES - 1 < 2**32 - 1
    assert sent["vllm"] == sent["llama-server"]
    assert sent["sglang"] == sent["openai"] == sent["oruel"] == seed
    assert seed not in (0, 7) or set(sent.values()) == {seed}


@pytest.mark.parametrize("kind", ["vllm", "llama-server"])
def test_every_bit_of_a_seed_changes_the_lower_32_that_the_server_uses(kind: UpstreamKind) -> None:
    def low(seed: int) -> int:
        sent: int = upstream_body(replace(REQUEST, sampling=SamplingParams(seed=seed)), kind, "theirs")["seed"]
        return sent % 2**32

    seed = random.getrandbits(63)
    print(f"seed {seed}")
    assert all(low(seed ^ 1 << bit) != low(seed) for bit in range(63))


@pytest.mark.parametrize(("wanted", "asked"), [(0, 0), (1, 2), (19, 20), (20, 20)])
def test_vllm_is_asked_for_one_more_alternative_as_it_counts_the_chosen_token(wanted: int, asked: int) -> None:
    request = replace(REQUEST, sampling=SamplingParams(logprobs=wanted))
    sent = {kind: upstream_body(request, kind, "theirs")["top_logprobs"] for kind in KINDS}
    assert sent == dict.fromkeys(KINDS, wanted) | {"vllm": asked, "llama-server": max(wanted, 1)}


def test_seeds_and_penalties_allow_for_the_maximum_n_and_max_tokens() -> None:
    most = {one.name: one.kind.schema().get("maximum") for one in PARAMETERS}
    assert (most["n"], most["max_tokens"]) == (MAX_CHOICES, PENALTY_WINDOW)


def test_stop_strings_go_only_to_servers_that_search_only_content() -> None:
    bodies = {kind: upstream_body(replace(REQUEST, stop=("END",)), kind, "theirs") for kind in KINDS}
    assert {kind for kind, body in bodies.items() if "stop" not in body} == STOPPED_LOCALLY


def test_servers_report_usage_with_each_chunk_if_they_can() -> None:
    bodies = {kind: upstream_body(REQUEST, kind, "theirs") for kind in KINDS}
    options = {kind: body["stream_options"] for kind, body in bodies.items()}
    assert {kind for kind, one in options.items() if one.get("continuous_usage_stats")} == {"vllm", "sglang"}
    assert {kind for kind, body in bodies.items() if body.get("timings_per_token")} == {"llama-server"}
    assert all(one["include_usage"] is True for one in options.values())


def test_tools_schemas_and_conversations_are_sent_in_openais_shape() -> None:
    tools = (Tool("f", "does f", {"type": "object", "properties": {}}, strict=True), Tool("g"))
    messages = (
        *REQUEST.messages,
        Message("assistant", "", tool_calls=(ToolCall("c1", "f", "{}"),)),
        Message("tool", "done", name="f", tool_call_id="c1"),
    )
    named = replace(REQUEST, messages=messages, tools=tools, tool_choice=ToolChoice("required", ("g",)))
    free = replace(named, tool_choice=ToolChoice("auto", ("f", "g")), parallel_tool_calls=False)
    schema = replace(REQUEST, response_format=ResponseFormat("json_schema", {"type": "object"}, strict=True))
    first, second, third = (upstream_body(request, "vllm", "theirs") for request in (named, free, schema))
    assert first["tool_choice"] == NAMED
    assert first["tools"][0]["function"]["strict"] is True
    assert first["messages"][1]["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}
    assert first["messages"][2] == {"role": "tool", "content": "done", "tool_call_id": "c1"}
    assert (second["tool_choice"], second["parallel_tool_calls"]) == ("auto", False)
    assert third["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert third["response_format"]["json_schema"]["strict"] is True
    llama = upstream_body(named, "llama-server", "theirs")
    assert ([tool["function"]["name"] for tool in llama["tools"]], llama["tool_choice"]) == (["g"], "required")


def test_earlier_reasoning_is_sent_to_servers_that_support_it() -> None:
    thought = replace(REQUEST, messages=(*REQUEST.messages, Message("assistant", "a", reasoning_content="because")))
    sent = {kind: upstream_body(thought, kind, "theirs")["messages"][1].get("reasoning_content") for kind in KINDS}
    assert sent == {"openai": None} | dict.fromkeys(("vllm", "sglang", "llama-server", "oruel"), "because")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    model = llama_model(tmp_path_factory.mktemp("llama"))
    with llama_server(Setting(model, threads=1, parallel=MAX_CHOICES, context=256)) as server:
        yield server


VOCABULARY = 380


def ask(server: Served, request: ChatRequest, **more: Any) -> dict[str, Any]:
    """The answer of llama.cpp's server to Oru'el's request body, but without streaming."""
    body = upstream_body(request, "llama-server", "x") | {"stream": False, **more}
    del body["stream_options"]
    url, head = f"http://127.0.0.1:{server.port}/v1/chat/completions", {"content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), head), timeout=60) as answer:
        return dict(json.load(answer))


def server_distribution(server: Served, sampling: SamplingParams) -> dict[int, float]:
    """The probabilities from which the server draws the first token, after all filters."""
    request = replace(REQUEST, sampling=replace(sampling, logprobs=VOCABULARY), max_tokens=1)
    answer = ask(server, request, post_sampling_probs=True)
    entries = answer["choices"][0]["logprobs"]["content"][0]["top_probs"]
    return {one["id"]: one["prob"] for one in entries if one["prob"] > 0}


def contract_distribution(model: Mapping[int, float], sampling: SamplingParams) -> dict[int, float]:
    """Applies temperature, top_k, top_p and min_p in this order. `model` maps tokens to log-probabilities."""
    scaled = {token: (logprob - max(model.values())) / sampling.temperature for token, logprob in model.items()}
    probability = normalize({token: math.exp(value) for token, value in scaled.items()})
    order = sorted(probability, key=lambda token: (-probability[token], token))
    kept = normalize({token: probability[token] for token in order[: sampling.top_k or None]})
    reached, nucleus = 0.0, {}
    for token, value in kept.items():
        nucleus[token] = value
        reached += value
        if reached > sampling.top_p:
            break
    return normalize({one: value for one, value in nucleus.items() if value >= sampling.min_p * kept[order[0]]})


def normalize(values: Mapping[int, float]) -> dict[int, float]:
    return {token: value / sum(values.values()) for token, value in values.items()}


@pytest.mark.model
@pytest.mark.parametrize(
    "sampling",
    [
        SamplingParams(temperature=2.0, top_p=0.5),
        SamplingParams(temperature=2.0, top_p=0.5, top_k=20),
        SamplingParams(temperature=0.5, top_p=0.9, min_p=0.05),
        SamplingParams(temperature=1.3, top_p=0.95, top_k=50, min_p=0.01),
        SamplingParams(temperature=2.0),
    ],
    ids=str,
)
def test_llama_server_draws_from_the_distribution_of_the_contract(llama: Served, sampling: SamplingParams) -> None:
    request = replace(REQUEST, sampling=SamplingParams(logprobs=VOCABULARY), max_tokens=1)
    entries = ask(llama, request)["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    assert len(entries) == VOCABULARY
    expected = contract_distribution({one["id"]: one["logprob"] for one in entries}, sampling)
    found = server_distribution(llama, sampling)
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.model
def test_llama_server_gets_no_temperature_that_overflows(llama: Served) -> None:
    greedy = ask(llama, replace(REQUEST, sampling=SamplingParams(temperature=0.0)))
    for temperature in (1e-38, 1e-45, 1e-300):
        cold = ask(llama, replace(REQUEST, sampling=SamplingParams(temperature=temperature)))
        assert cold["choices"][0]["message"] == greedy["choices"][0]["message"]


@pytest.mark.model
def test_llama_server_honours_the_seed_of_each_choice(llama: Served) -> None:
    request = replace(REQUEST, sampling=SamplingParams(seed=2**32 - 2), n=MAX_CHOICES)
    first, again = ([one["message"] for one in ask(llama, request)["choices"]] for _ in range(2))
    assert first == again
    assert len(first) == MAX_CHOICES
    assert len({str(message) for message in first}) > 1


@pytest.mark.model
def test_llama_server_reports_logprobs_without_alternatives(llama: Served) -> None:
    answer = ask(llama, replace(REQUEST, sampling=SamplingParams(logprobs=0)))
    assert answer["choices"][0]["logprobs"]["content"]


@pytest.mark.model
def test_llama_server_reports_no_logprobs_with_tools(llama: Served) -> None:
    request = request_of(**TOOLS, logprobs=True, max_tokens=1)
    assert verdict("llama-server", request).refused == ("logprobs",)
    with pytest.raises(urllib.error.HTTPError, match="400"):
        ask(llama, request, stream=True)


@pytest.mark.model
def test_llama_server_penalties_look_back_more_than_64_tokens(llama: Served) -> None:
    """A token that occurs only at the beginning of a long prompt is penalised."""
    messages = (Message("user", "Z" + " the" * 100),)

    def chance(penalty: float) -> float:
        sampling = SamplingParams(presence_penalty=penalty, logprobs=VOCABULARY)
        request = replace(REQUEST, messages=messages, sampling=sampling, max_tokens=1)
        entries = ask(llama, request, post_sampling_probs=True)["choices"][0]["logprobs"]["content"][0]["top_probs"]
        return next(float(one["prob"]) for one in entries if one["token"] == "Z")

    assert chance(2.0) < 0.5 * chance(0.0)
