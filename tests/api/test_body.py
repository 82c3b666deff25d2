"""Bodies that are not what they should be, as bytes: refused before they are believed, and the server goes on."""

import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oruel.api.body import parse_object
from oruel.errors import InvalidBody
from tests.api.conftest import Client, Serve, chat
from tests.fakes import FakeBackend

pytestmark = pytest.mark.anyio

URL = "/v1/chat/completions"
JSON = {"content-type": "application/json"}

NOT_OBJECTS = {
    "nothing": b"",
    "a space": b" ",
    "words": b"hello",
    "half an object": b'{"model": ',
    "two objects": b"{} {}",
    "a trailing comma": b'{"model": "demo",}',
    "single quotes": b"{'model': 'demo'}",
    "a comment": b'{} // "x"',
    "a null": b"null",
    "an array": b"[]",
    "a string": b'"model"',
    "a number": b"1",
    "NaN": b"NaN",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"model": "demo"}'.encode("utf-16"),
    "invalid UTF-8": b'{"model": "\xff\xfe"}',
    "an encoded surrogate": b'{"model": "\xed\xa0\x80"}',
    "an overlong encoding": b'{"model": "\xc0\xaf"}',
    "a control character in a string": b'{"model": "\x00"}',
    "gzip": b"\x1f\x8b\x08\x00\x00",
    "arrays nested 100,000 deep": b"[" * 100_000,
    "closed arrays nested 100,000 deep": b"[" * 100_000 + b"]" * 100_000,
    "objects nested 100,000 deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a field nested 100,000 deep": b'{"messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.mark.parametrize("content", NOT_OBJECTS.values(), ids=NOT_OBJECTS.keys())
async def test_what_is_not_a_json_object_is_refused(client: Client, backend: FakeBackend, content: bytes) -> None:
    response = await client.post(URL, content=content, headers=JSON)
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["code"]) == (400, "invalid_request_error", "invalid_body")
    assert backend.requests == []
    assert (await client.post(URL, json=chat())).status_code == 200


@pytest.mark.parametrize("deep", [900, 5000])
async def test_a_deep_value_that_parses_is_refused_by_its_field(client: Client, deep: int) -> None:
    content = json.dumps(chat())[:-1] + ', "temperature": ' + "[" * deep + "]" * deep + "}"
    response = await client.post(URL, content=content, headers=JSON)
    assert response.status_code == 400
    assert response.json()["error"]["code"] in ("invalid_value", "invalid_body")


@pytest.mark.parametrize(
    ("content", "param"),
    [
        (b'{"model": "[[[", "messages":' + b"[" * 100_000, "messages"),
        (b'{"a": [[1]], "tools" : ' + b'{"b":' * 100_000 + b"1" + b"}" * 100_000 + b', "c": [1]}', "tools"),
        (b'{"a\\"[b": "}", "x": ' + b'["\\"]", ' * 100_000, "x"),
        (b"[" * 100_000, None),
    ],
    ids=["messages", "tools", "x", "an array"],
)
async def test_a_body_that_is_too_deep_to_parse_says_which_field_is(
    client: Client, content: bytes, param: str | None
) -> None:
    error = (await client.post(URL, content=content, headers=JSON)).json()["error"]
    assert (error["param"], error["code"]) == (param, "invalid_body")
    assert error["message"] == f"{param or 'The body'} is nested too deeply. Send fewer levels."


@pytest.mark.parametrize(
    ("content", "param"),
    [
        (b'{"temperature": 1, "temperature": 1}', "temperature"),
        (b'{"model": "demo", "messages": [{"role": "user", "role": "user"}]}', "role"),
        (b'{"a": 1, "\\u0061": 2}', "a"),
        (b'{"\\ud800": 1, "\\ud800": 2}', "\N{REPLACEMENT CHARACTER}"),
    ],
)
async def test_a_field_given_twice_is_named(client: Client, content: bytes, param: str) -> None:
    error = (await client.post(URL, content=content, headers=JSON)).json()["error"]
    assert (error["param"], error["code"]) == (param, "invalid_body")
    assert "more than once" in error["message"]


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx"],
)
async def test_a_type_that_a_browser_may_send_unasked_is_refused(client: Client, content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    response = await client.post(URL, content=json.dumps(chat()), headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
async def test_json_is_taken_with_or_without_a_charset(client: Client, content_type: str) -> None:
    response = await client.post(URL, content=json.dumps(chat()), headers={"content-type": content_type})
    assert response.status_code == 200


async def test_a_compressed_body_is_refused_rather_than_guessed_at(client: Client) -> None:
    response = await client.post(URL, content=b"x", headers=JSON | {"content-encoding": "gzip"})
    assert response.status_code == 415
    assert "compressed" in response.json()["error"]["message"]


async def test_the_limit_is_on_bytes_and_a_body_at_the_limit_is_read(serve: Serve) -> None:
    content = json.dumps(chat()).encode()
    client = serve(max_body_bytes=len(content))
    assert (await client.post(URL, content=content, headers=JSON)).status_code == 200
    response = await client.post(URL, content=content + b" ", headers=JSON)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (413, "body_too_large")
    assert str(len(content)) in error["message"]


async def test_a_body_of_unknown_length_is_counted_and_cut_off(serve: Serve, backend: FakeBackend) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1000
            yield b" " * 1000

    response = await serve(max_body_bytes=10_000).post(URL, content=endless(), headers=JSON)
    assert response.status_code == 413
    assert sent <= 12_000
    assert backend.requests == []


async def test_a_large_body_within_the_limit_is_answered(client: Client, backend: FakeBackend) -> None:
    text = "é" * (3 * 2**20)
    response = await client.post(URL, json=chat(messages=[{"role": "user", "content": text}]))
    assert response.status_code == 200
    assert backend.requests[0].messages[0].content == text


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_an_object_or_a_refusal(raw: bytes) -> None:
    try:
        assert isinstance(parse_object(raw), dict)
    except InvalidBody as error:
        error.message.encode()
