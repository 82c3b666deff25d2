"""Invalid values for every parameter: refused with the name of the field, before the backend gets the request."""

import asyncio
import json
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from oruel.api.chat.body import FIELDS
from oruel.api.routes import create_api
from oruel.router.catalog import Catalog, ModelCard
from tests.api.conftest import Client, Serve, chat, services_for, tool
from tests.api.wrong_values import INTEGERS, NUMBERS, ROWS, user
from tests.fakes import FakeBackend

pytestmark = pytest.mark.anyio

URL = "/v1/chat/completions"


@pytest.mark.parametrize(("fields", "param"), ROWS, ids=lambda value: str(value)[:60])
async def test_a_wrong_value_is_refused_with_the_name_of_its_field(
    client: Client, backend: FakeBackend, fields: dict[str, Any], param: str
) -> None:
    response = await client.post(URL, content=json.dumps(chat(**fields)), headers={"content-type": "application/json"})
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert param.split(".")[0].split("[")[0] in error["message"]
    assert len(error["message"]) < 600
    assert backend.requests == []


@pytest.mark.parametrize("field", ["model", "messages"])
async def test_a_required_field_that_is_missing_is_named(client: Client, field: str) -> None:
    body = chat()
    del body[field]
    error = (await client.post(URL, json=body)).json()["error"]
    assert (error["param"], error["code"]) == (field, "invalid_value")
    assert "missing" in error["message"]


@pytest.mark.parametrize(
    ("literal", "words"),
    [
        ("NaN", "not a finite number"),
        ("Infinity", "not a finite number"),
        ("-Infinity", "not a finite number"),
        ("1e400", "not a finite number"),
        ("-1e400", "not a finite number"),
        ("9" * 5000, "not a finite number"),
        ("9" * 200, "a huge integer"),
    ],
)
@pytest.mark.parametrize("name", [*NUMBERS, *INTEGERS])
async def test_numbers_outside_json_or_float_are_refused_by_field(
    client: Client, backend: FakeBackend, name: str, literal: str, words: str
) -> None:
    body = json.dumps(chat())[:-1] + f', "{name}": {literal}}}'
    response = await client.post(URL, content=body, headers={"content-type": "application/json"})
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, name)
    assert words in error["message"]
    assert backend.requests == []


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "1e400"])
@pytest.mark.parametrize("field", ['"chat_template_kwargs": {{"enable_thinking": {}}}', '"logit_bias": {{"1": {}}}'])
async def test_numbers_within_objects_must_be_finite_too(client: Client, field: str, literal: str) -> None:
    body = json.dumps(chat())[:-1] + ", " + field.format(literal) + "}"
    response = await client.post(URL, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"].split(".")[0] in field


MISSPELT = {
    "temprature": "temperature",
    "Temperature": "temperature",
    "max_token": "max_tokens",
    "topk": "top_k",
    "top-p": "top_p",
    "repeat_penalty": "repetition_penalty",
    "maxTokens": "max_tokens",
    "stop_sequences": None,
    "": None,
    "x" * 10_000: None,
    "\ud800": None,
    "__class__": None,
}


@pytest.mark.parametrize(("sent", "meant"), MISSPELT.items(), ids=lambda name: str(name)[:20])
async def test_an_unknown_field_is_refused_with_the_nearest_known_name(
    client: Client, sent: str, meant: str | None
) -> None:
    content = json.dumps(chat(**{sent: 1}))
    response = await client.post(URL, content=content, headers={"content-type": "application/json"})
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "unknown_parameter")
    assert error["param"]
    assert sent[:20] in error["param"] or sent == "\ud800"
    if meant:
        assert f'Did you mean "{meant}"?' in error["message"]


async def test_a_misspelt_nested_field_is_named_with_path_and_suggestion(client: Client) -> None:
    body = chat(messages=[user, {"role": "user", "contents": "hi"}])
    error = (await client.post(URL, json=body)).json()["error"]
    assert error["param"] == "messages[1].contents"
    assert 'Did you mean "content"?' in error["message"]


async def test_an_unknown_model_is_404_with_the_nearest_name(client: Client, backend: FakeBackend) -> None:
    response = await client.post(URL, json=chat(model="llama-4-mavrick"))
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert 'Did you mean "llama-4-maverick"?' in error["message"]
    assert backend.requests == []


async def test_a_tier_that_the_model_lacks_is_refused(serve: Serve) -> None:
    cards = (ModelCard("only", context=10, vocabulary_size=10, created=0, tiers=("standard",)),)
    client = serve(catalog=Catalog(cards), tokenizers={})
    response = await client.post(URL, json=chat(model="only", tier="turbo"))
    assert (response.status_code, response.json()["error"]["param"]) == (400, "tier")
    assert (await client.post(URL, json=chat(model="only"))).status_code == 200


async def test_json_mode_is_refused_if_the_vocabulary_lacks_json_tokens(serve: Serve) -> None:
    cards = (ModelCard("only", context=10, vocabulary_size=10, created=0, writes_json=False),)
    client = serve(catalog=Catalog(cards), tokenizers={})
    messages = [{"role": "user", "content": "JSON, please."}]
    body = chat(model="only", messages=messages, response_format={"type": "json_object"})
    error = (await client.post(URL, json=body)).json()["error"]
    assert (error["code"], error["param"]) == ("unsupported_parameter", "response_format")


async def test_unsupported_features_are_refused_by_name_and_reason(client: Client) -> None:
    refused: list[tuple[dict[str, Any], str]] = [
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "image_url"),
    ]
    for fields, words in refused:
        error = (await client.post(URL, json=chat(**fields))).json()["error"]
        assert error["code"] == "unsupported_parameter"
        assert words in error["message"]


def function(**fields: Any) -> dict[str, Any]:
    return {"type": "function", "name": "f"} | fields


HINTS: list[tuple[dict[str, Any], str, str]] = [
    ({"functions": [{"name": "f"}]}, "functions", "tools"),
    ({"function_call": {"name": "f"}}, "function_call", "tool_choice"),
    ({"tool_choice": "any"}, "tool_choice", 'Send "required"'),
    ({"tool_choice": {"type": "any"}}, "tool_choice", 'the string "required"'),
    ({"tool_choice": {"type": "tool", "name": "f"}}, "tool_choice", '{"type": "function", "function": {"name": …}}'),
    ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}, "tool_choice", "Send only the allowed tools"),
    ({"tool_choice": function()}, "tool_choice.name", '{"type": "function", "function": {"name": …}}'),
    ({"tools": [function()]}, "tools[0].name", '{"type": "function", "function": {"name": …, "parameters": …}}'),
    ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools[0]", "a string parameter"),
    ({"tools": [tool("f"), {"type": "web_search"}]}, "tools[1]", "Declare a function"),
    ({"tools": [{"type": "mcp", "server_label": "x"}]}, "tools[0]", "Declare a function"),
]


@pytest.mark.parametrize(("fields", "param", "instead"), HINTS, ids=lambda value: str(value)[:60])
async def test_values_of_other_apis_are_refused_with_what_to_send_instead(
    client: Client, fields: dict[str, Any], param: str, instead: str
) -> None:
    error = (await client.post(URL, json=chat(**{"tools": [tool("f")], **fields}))).json()["error"]
    assert error["param"] == param
    assert instead in error["message"]
    assert "version" not in error["message"]


async def test_the_server_goes_on_after_every_refusal(client: Client) -> None:
    for fields, _ in ROWS[::25]:
        content = json.dumps(chat(**fields))
        await client.post(URL, content=content, headers={"content-type": "application/json"})
        assert (await client.post(URL, json=chat())).status_code == 200


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from([*FIELDS, "text", "user", "system", "role", "content", "type", "function", 0, 1, 2.0, -2]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*FIELDS, "role", "content", "type", "text", "0"]) | st.text(), inner, max_size=5
        )
    ),
    max_leaves=12,
)
bodies = anything | st.dictionaries(st.sampled_from(list(FIELDS)), anything, max_size=6).map(lambda d: chat(**d))


STRICT, LENIENT = (create_api(services_for(FakeBackend(), unknown_fields=policy)) for policy in ("refuse", "report"))


async def status_of(api: FastAPI, content: bytes) -> int:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(api), base_url="http://localhost") as client:
        response = await client.post(URL, content=content, headers={"content-type": "application/json"})
    if response.status_code != 200:
        assert response.json()["error"].keys() == {"message", "type", "param", "code"}
    return response.status_code


@settings(max_examples=250, deadline=None)
@given(bodies)
def test_any_json_is_answered_or_refused_without_an_internal_error(body: object) -> None:
    content = json.dumps(body).encode()
    strict = asyncio.run(status_of(STRICT, content))
    lenient = asyncio.run(status_of(LENIENT, content))
    assert {strict, lenient} <= {200, 400, 404}
    assert lenient == 200 or strict != 200
