"""The catalog, the declarations and the tokenizer over HTTP."""

import json
from typing import Any

import pytest

from oruel.contract.parameters import PARAMETERS, USE_CASES
from oruel.router.catalog import Catalog, ModelCard
from tests.api.conftest import CARD, Client, Serve
from tests.fakes import MODEL

pytestmark = pytest.mark.anyio


async def test_every_alias_is_listed_with_the_model_that_answers(client: Client) -> None:
    answer = (await client.get("/v1/models")).json()
    assert answer["object"] == "list"
    assert {model["id"]: model["root"] for model in answer["data"]} == {MODEL: MODEL, "llama-4-maverick": MODEL}
    assert answer["data"][0].keys() >= {"id", "object", "created", "owned_by"}


async def test_a_model_is_found_by_a_name_with_slashes(serve: Serve) -> None:
    card = ModelCard("owner/name", context=1, vocabulary_size=1, created=0)
    response = await serve(catalog=Catalog((card,))).get("/v1/models/owner/name")
    assert response.json()["id"] == "owner/name"


async def test_the_declarations_are_served_as_json(client: Client) -> None:
    answer = (await client.get("/v1/parameters")).json()
    assert [parameter["name"] for parameter in answer["data"]] == [parameter.name for parameter in PARAMETERS]
    assert answer["use_cases"] == [use_case.as_json() for use_case in USE_CASES]
    temperature = answer["data"][0]
    assert temperature["schema"] == {"type": "number", "minimum": 0, "maximum": 2}
    assert temperature["default"] == 0.7


async def test_a_text_is_tokenized_into_ids_text_and_bytes(client: Client) -> None:
    answer = (await client.post("/tokenize", json={"text": "hé", "model": "llama-4-maverick"})).json()
    replacement = "\N{REPLACEMENT CHARACTER}"
    assert answer == {
        "model": MODEL,
        "count": 3,
        "tokens": [
            {"id": 104, "text": "h", "bytes": [104]},
            {"id": 0xC3, "text": replacement, "bytes": [0xC3]},
            {"id": 0xA9, "text": replacement, "bytes": [0xA9]},
        ],
    }


async def test_messages_are_tokenized_as_their_prompt(client: Client) -> None:
    answer = (await client.post("/tokenize", json={"messages": [{"role": "user", "content": "a"}]})).json()
    assert answer["tokens"][0] == {"id": 256, "text": "<|message|>", "bytes": []}
    assert answer["count"] == 2


async def test_an_empty_text_has_no_tokens(client: Client) -> None:
    assert (await client.post("/tokenize", json={"text": ""})).json()["tokens"] == []


hi = [{"role": "user", "content": "hi"}]
WRONG: list[tuple[Any, str | None, int]] = [
    ({}, "text", 400),
    ({"text": None}, "text", 400),
    ({"text": 1}, "text", 400),
    ({"text": ["a"]}, "text", 400),
    ({"text": "\ud800"}, "text", 400),
    ({"text": "a", "messages": hi}, "text", 400),
    ({"messages": []}, "messages", 400),
    ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content", 400),
    ({"text": "a", "txt": 1}, "txt", 400),
    ({"text": "a", "model": "nobody"}, "model", 404),
    ({"text": "a", "model": 1}, "model", 400),
    ({"text": "a", "chat_template_kwargs": {}}, "chat_template_kwargs", 400),
    ({"messages": hi, "chat_template_kwargs": {"x": 1}}, "chat_template_kwargs.x", 400),
    ({"text": "a" * (2**18 + 1)}, "text", 400),
    ([], None, 400),
]


@pytest.mark.parametrize(("body", "param", "status"), WRONG, ids=lambda value: str(value)[:40])
async def test_invalid_tokenize_requests_are_refused_by_field(
    client: Client, body: object, param: str | None, status: int
) -> None:
    response = await client.post("/tokenize", content=json.dumps(body), headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["error"]["param"]) == (status, param)


async def test_the_model_is_required_if_there_are_several(serve: Serve) -> None:
    other = ModelCard("other", context=1, vocabulary_size=1, created=0)
    client = serve(catalog=Catalog((CARD, other)), tokenizers={MODEL: MODEL, "other": MODEL})
    assert (await client.post("/tokenize", json={"text": "a"})).json()["error"]["param"] == "model"
    assert (await client.post("/tokenize", json={"text": "a", "model": "other"})).json()["model"] == "other"
