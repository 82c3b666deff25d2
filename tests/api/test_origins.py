"""Requests of web pages: the server's own pages work, others are refused unless the operator allows their origin."""

from typing import Any

import pytest

from tests.api.conftest import Client, Serve, chat
from tests.fakes import FakeBackend

pytestmark = pytest.mark.anyio

URL = "/v1/chat/completions"
APP = "https://app.example"
OTHERS = [
    "https://evil.example", "http://localhost", "http://localhost:8001", "http://127.0.0.1:8000", "null", "",
    "localhost:8000", "file://", "ftp://localhost:8000", "http://localhost:8000.evil.example",
    "http://evil.example#http://localhost:8000", "chrome-extension://abcdef",
]  # fmt: skip


def preflight(origin: str, headers: str = "authorization,content-type") -> dict[str, Any]:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": headers}
    return {"method": "OPTIONS", "url": URL, "headers": {"origin": origin, "host": "localhost:8000", **asked}}


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:8000", "localhost:8000"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("http://localhost", "LOCALHOST"),
        ("https://localhost", "localhost"),
    ],
)
async def test_the_servers_own_pages_may_send_requests(client: Client, origin: str, host: str) -> None:
    response = await client.post(URL, json=chat(), headers={"origin": origin, "host": host})
    assert response.status_code == 200
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("origin", OTHERS)
async def test_a_page_from_elsewhere_can_neither_use_nor_read_the_server(
    client: Client, backend: FakeBackend, origin: str
) -> None:
    headers = {"origin": origin, "host": "localhost:8000"}
    for response in (
        await client.post(URL, json=chat(), headers=headers),
        await client.post(URL, json=chat(), headers=headers | {"content-type": "text/plain"}),
        await client.get("/v1/models", headers=headers),
        await client.get("/health", headers=headers),
        await client.request(**preflight(origin)),
    ):
        error = response.json()["error"]
        assert (response.status_code, error["type"], error["code"]) == (403, "permission_error", "origin_refused")
        assert f'"{origin}"' in error["message"]
        assert "--allowed-origins" in error["message"]
        assert "access-control-allow-origin" not in response.headers
    assert backend.requests == []


async def test_a_client_that_sends_no_origin_sees_no_change(client: Client) -> None:
    response = await client.post(URL, json=chat())
    assert response.status_code == 200
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize(("allowed", "origin"), [(APP, APP), ("https://App.example", APP), ("*", APP), ("*", "null")])
async def test_the_pages_of_an_allowed_origin_get_answers_that_they_can_read(
    serve: Serve, allowed: str, origin: str
) -> None:
    client = serve(allowed_origins=("https://first.example", allowed))
    asked = await client.request(**preflight(origin, "authorization,content-type,x-stainless-os"))
    assert (asked.status_code, asked.content) == (204, b"")
    assert asked.headers["access-control-allow-origin"] == origin
    assert "POST" in asked.headers["access-control-allow-methods"]
    assert asked.headers["access-control-allow-headers"] == "authorization,content-type,x-stainless-os"
    response = await client.post(URL, json=chat(), headers={"origin": origin})
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == origin
    assert response.headers["vary"] == "Origin"
    assert "x-request-id" in response.headers["access-control-expose-headers"]


async def test_the_pages_of_an_allowed_origin_can_read_errors_and_streams(serve: Serve) -> None:
    client = serve(allowed_origins=(APP,), api_key_hashes=(b"0" * 32,))
    for response, status in [
        (await client.post(URL, json=chat(), headers={"origin": APP}), 401),
        (await client.get("/v1/nowhere", headers={"origin": APP}), 401),
        (await serve(allowed_origins=(APP,)).post(URL, json=chat(stream=True), headers={"origin": APP}), 200),
        (await serve(allowed_origins=(APP,)).post(URL, json=chat(temperature=3), headers={"origin": APP}), 400),
    ]:
        assert (response.status_code, response.headers["access-control-allow-origin"]) == (status, APP)


@pytest.mark.parametrize(
    "origin", ["https://app.example.evil.example", "http://app.example", "https://app.example:444"]
)
async def test_only_the_very_origin_is_allowed(serve: Serve, origin: str) -> None:
    client = serve(allowed_origins=(APP,))
    assert (await client.post(URL, json=chat(), headers={"origin": origin})).status_code == 403
    assert (await client.request(**preflight(origin))).status_code == 403


async def test_an_allowed_origin_still_needs_a_valid_host(serve: Serve) -> None:
    headers = {"origin": APP, "host": "rebound.example"}
    response = await serve(allowed_origins=("*",)).post(URL, json=chat(), headers=headers)
    assert response.json()["error"]["code"] == "host_refused"


async def test_options_without_a_preflight_is_405(serve: Serve) -> None:
    response = await serve(allowed_origins=(APP,)).request("OPTIONS", URL, headers={"origin": APP})
    assert response.status_code == 405
