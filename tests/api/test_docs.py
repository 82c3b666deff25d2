"""GET /docs, the parameter page: complete, self-contained, and its examples work."""

import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from oruel.contract.parameters import PARAMETERS, Parameter
from oruel.router.catalog import Catalog
from tests.api.conftest import CARD, CHAT, Client, Serve, chat

pytestmark = pytest.mark.anyio

PAGE = (Path(__file__).parents[1] / "contract" / "inference-parameters.txt").read_text()
NAMES = [parameter.name for parameter in PARAMETERS]
WITH_EXAMPLE = [parameter for parameter in PARAMETERS if parameter.example]
# The parameters that the parameter page shows in a code sample.
ON_THE_PAGE = {
    "temperature", "top_p", "top_k", "min_p", "seed", "max_tokens", "stop", "frequency_penalty", "presence_penalty",
    "repetition_penalty", "response_format", "tier",
}  # fmt: skip


def by_name(parameter: Parameter) -> str:
    return parameter.name


async def test_the_page_states_every_parameter_in_words(client: Client) -> None:
    response = await client.get("/docs")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    text = unescape(response.text)
    for parameter in PARAMETERS:
        assert f'<article id="{parameter.name}">' in text
        for words in (parameter.summary, str(parameter.kind), *parameter.details):
            assert words in text
    assert 'stop=["```"]' in text


async def test_the_page_needs_no_script_and_no_other_host(client: Client) -> None:
    response = await client.get("/docs")
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "style-src 'self'" in policy
    assert "script-src" not in policy
    assert not re.search(r"<script|<style|style=|https?://|@import|\son[a-z]+=", response.text)
    for path in re.findall(r'rel="stylesheet" href="([^"]+)"', response.text):
        style = await client.get(path)
        assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")


async def test_every_link_leads_somewhere(client: Client) -> None:
    text = (await client.get("/docs")).text
    for link in re.findall(r'href="([^"]+)"', text):
        path, _, anchor = link.partition("#")
        if path and path != "data:,":
            assert (await client.get(path)).status_code == 200, link
        elif anchor:
            assert f'id="{anchor}"' in text, link


async def test_each_example_opens_in_the_playground_with_its_prompt_and_parameters(client: Client) -> None:
    text = (await client.get("/docs")).text
    addresses = [unescape(address) for address in re.findall(r'href="/#([^"]+)"', text)]
    loaded = [{name: value for name, (value,) in parse_qs(address).items()} for address in addresses]
    assert loaded[0] == {"prompt": "Write a creative opening line for a novel.", "temperature": "1.2"}
    assert {"prompt": "Hello!", "tier": "turbo"} in loaded
    assert {"prompt": "List 3 fruits:", "stop": '["\\n4.", "\\n\\n"]'} in loaded
    assert len(loaded) == len(WITH_EXAMPLE)
    assert "+" not in "".join(addresses), "a space is %20, which every parser of addresses reads alike"


async def test_without_the_playground_nothing_links_to_it(serve: Serve) -> None:
    text = (await serve(web=False).get("/docs")).text
    assert not re.search(r'href="/(#|")', text)
    assert "Write a creative opening line for a novel." in text


def test_every_parameter_that_can_be_set_has_an_example() -> None:
    without = {parameter.name for parameter in PARAMETERS if parameter.served and not parameter.example}
    assert without == {"chat_template_kwargs"}


@pytest.mark.parametrize("parameter", WITH_EXAMPLE, ids=by_name)
async def test_each_example_sets_its_parameter_and_is_accepted(serve: Serve, parameter: Parameter) -> None:
    assert parameter.example
    fields = parameter.example.as_json()
    assert fields.keys() <= {"messages", *NAMES}
    assert parameter.name in fields
    # The ids of logit_bias are those of the demo model, which has 3,072 tokens.
    client = serve(catalog=Catalog((replace(CARD, vocabulary_size=3072),)))
    response = await client.post(CHAT, json=chat(**fields))
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("name", sorted(ON_THE_PAGE))
def test_the_examples_are_those_of_the_parameter_page(name: str) -> None:
    (example,) = (parameter.example for parameter in PARAMETERS if parameter.name == name)
    assert example
    assert f'"content": {json.dumps(example.prompt)}' in PAGE
    for field, value in example.fields.items():
        shown = json.dumps(value)
        assert f"{field}={shown}" in PAGE or f'"{field}": {shown}' in PAGE


async def test_the_declarations_include_the_examples_as_request_fields(client: Client) -> None:
    declared = {one["name"]: one["example"] for one in (await client.get("/v1/parameters")).json()["data"]}
    assert declared["temperature"] == {
        "messages": [{"role": "user", "content": "Write a creative opening line for a novel."}],
        "temperature": 1.2,
    }
    assert declared["response_format"]["messages"][0] == {"role": "system", "content": "Output valid JSON."}
    assert declared["chat_template_kwargs"] is None
