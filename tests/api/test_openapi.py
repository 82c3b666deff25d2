"""The OpenAPI document: valid, every range and default stated, and of one mind with the server."""

import re
from typing import Any

import pytest
from fastapi.openapi.models import OpenAPI
from jsonschema import Draft202012Validator

from tests.api.conftest import CHAT, Client, Serve, chat, tool

pytestmark = pytest.mark.anyio

# By hand, from the page.
STATED: dict[str, dict[str, Any]] = {
    "temperature": {"minimum": 0, "maximum": 2, "default": 0.7},
    "top_p": {"minimum": 0, "maximum": 1, "default": 1.0},
    "top_k": {"minimum": 0, "maximum": 200},
    "min_p": {"minimum": 0, "maximum": 1},
    "seed": {"minimum": -(2**63), "maximum": 2**63 - 1},
    "max_tokens": {"minimum": 1, "maximum": 131072},
    "max_completion_tokens": {"minimum": 1, "maximum": 131072},
    "frequency_penalty": {"minimum": -2, "maximum": 2, "default": 0},
    "presence_penalty": {"minimum": -2, "maximum": 2, "default": 0},
    "repetition_penalty": {"minimum": 0.1, "maximum": 3, "default": 1.0},
    "n": {"minimum": 1, "maximum": 8, "default": 1},
    "top_logprobs": {"minimum": 0, "maximum": 20, "default": 0},
    "stream": {"default": False},
    "logprobs": {"default": False},
    "tier": {"enum": ["standard", "turbo", None], "default": "standard"},
    "messages": {"minItems": 1, "maxItems": 4096},
}


@pytest.fixture
async def page(client: Client) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.get("/openapi.json")).json()
    return answer


async def test_the_schema_states_each_range_and_default(page: dict[str, Any]) -> None:
    properties = page["components"]["schemas"]["ChatRequest"]["properties"]
    for name, facts in STATED.items():
        assert {fact: properties[name].get(fact) for fact in facts} == facts, name
        assert ("default" in properties[name]) == ("default" in facts), name
    stop = properties["stop"]["anyOf"]
    one, many = next(option for option in stop if "anyOf" in option)["anyOf"] if "anyOf" in stop[0] else stop[:2]
    assert (one["minLength"], one["maxLength"]) == (1, 256)
    assert (many["maxItems"], many["items"]["maxLength"]) == (4, 256)
    assert properties["logit_bias"]["maxProperties"] == 1024


async def test_the_page_is_valid_openapi(page: dict[str, Any]) -> None:
    assert OpenAPI.model_validate(page).openapi.startswith("3.1")


async def test_every_reference_of_the_document_resolves(page: dict[str, Any]) -> None:
    references = set(re.findall(r"'\$ref': '#/components/schemas/(\w+)'", str(page)))
    assert references >= {"ChatRequest", "ChatCompletion", "ErrorResponse", "Model", "Health"}
    assert references <= page["components"]["schemas"].keys()


async def test_every_endpoint_is_on_the_page(page: dict[str, Any]) -> None:
    assert page["paths"].keys() >= {
        "/v1/chat/completions", "/v1/inference/chat/completions", "/v1/models", "/v1/parameters", "/tokenize",
        "/health", "/metrics",
    }  # fmt: skip
    identifiers = [operation["operationId"] for path in page["paths"].values() for operation in path.values()]
    assert len(set(identifiers)) == len(identifiers)


HELLO = [{"role": "user", "content": "hi"}]
# By hand, from the contract: whether the server takes the body, which the document has to say too.
TOKENIZE_BODIES = [
    ({"text": "a"}, True),
    ({"text": None, "messages": HELLO}, True),
    ({"text": "a", "messages": None, "chat_template_kwargs": None}, True),
    ({"text": "a", "messages": HELLO}, False),
    ({"text": None}, False),
    ({"text": "a", "chat_template_kwargs": {}}, False),
]
CHAT_BODIES = [
    ({}, True),
    ({"logprobs": True, "top_logprobs": 2}, True),
    ({"top_logprobs": 0}, True),
    ({"top_logprobs": 2}, False),
    ({"top_logprobs": 2, "logprobs": None}, False),
    ({"stream_options": None}, True),
    ({"stream_options": {}}, False),
    ({"tool_choice": "none"}, True),
    ({"tool_choice": "required", "tools": [tool("f")]}, True),
    ({"tool_choice": "required"}, False),
    ({"tool_choice": {"type": "function", "function": {"name": "f"}}, "tools": None}, False),
    ({"tools": [tool("f", {"type": "object"})]}, True),
    ({"tools": [tool("f", {"type": "array"})]}, False),
    ({"messages": [*HELLO, {"role": "assistant", "content": "a", "refusal": None, "annotations": []}]}, True),
    ({"messages": [*HELLO, {"role": "assistant", "refusal": "no"}]}, True),
    ({"messages": [*HELLO, {"role": "assistant", "content": None, "refusal": None, "annotations": []}]}, False),
]


def says_valid(page: dict[str, Any], name: str, body: dict[str, Any]) -> bool:
    schema = {"$ref": f"#/components/schemas/{name}", "components": page["components"]}
    return bool(Draft202012Validator(schema).is_valid(body))


@pytest.mark.parametrize(("body", "is_taken"), TOKENIZE_BODIES)
async def test_document_and_server_agree_on_tokenize_bodies(
    client: Client, page: dict[str, Any], body: dict[str, Any], is_taken: bool
) -> None:
    assert (await client.post("/tokenize", json=body)).status_code == (200 if is_taken else 400)
    assert says_valid(page, "TokenizeRequest", body) == is_taken


@pytest.mark.parametrize(("fields", "is_taken"), CHAT_BODIES)
async def test_document_and_server_agree_on_chat_bodies(
    client: Client, page: dict[str, Any], fields: dict[str, Any], is_taken: bool
) -> None:
    body = chat(**fields)
    assert (await client.post(CHAT, json=body)).status_code == (200 if is_taken else 400)
    assert says_valid(page, "ChatRequest", body) == is_taken


async def test_a_model_has_its_path_parameter_and_404(page: dict[str, Any]) -> None:
    operation = page["paths"]["/v1/models/{model}"]["get"]
    assert [(one["name"], one["in"], one["required"]) for one in operation["parameters"]] == [("model", "path", True)]
    assert "404" in operation["responses"]


@pytest.mark.parametrize("path", ["/docs", "/metrics", "/health", "/v1/models", "/openapi.json"])
async def test_the_document_states_the_media_type_that_is_sent(client: Client, page: dict[str, Any], path: str) -> None:
    (stated,) = page["paths"][path]["get"]["responses"]["200"]["content"]
    assert (await client.get(path)).headers["content-type"].partition(";")[0] == stated


async def test_the_document_says_which_operations_need_a_key(serve: Serve) -> None:
    page = (await serve(api_key_hashes=(b"0" * 32,)).get("/openapi.json")).json()
    assert page["security"] == [{"key": []}]
    for path, operations in page["paths"].items():
        for operation in operations.values():
            is_open = path in ("/health", "/docs", "/openapi.json")
            assert (operation.get("security") == []) == is_open, path
            assert ("401" in operation["responses"]) != is_open, path


async def test_without_keys_the_document_asks_for_none(page: dict[str, Any]) -> None:
    assert page["security"] == []


async def test_the_document_says_that_annotations_are_objects(page: dict[str, Any]) -> None:
    annotations = page["components"]["schemas"]["AnswerMessage"]["properties"]["annotations"]
    assert annotations["items"]["type"] == "object"
