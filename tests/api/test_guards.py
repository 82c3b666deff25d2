"""Host and key checks, request ids, logs, metrics, health, and unknown paths."""

import hashlib
from typing import Any

import pytest
from structlog.testing import capture_logs

from oruel.api.services import Health
from tests.api.conftest import Client, Serve, chat
from tests.fakes import FakeBackend

pytestmark = pytest.mark.anyio

URL = "/v1/chat/completions"
KEYS = {"api_key_hashes": tuple(hashlib.sha256(key).digest() for key in (b"first-key", b"second-key", "clé".encode()))}
BEARER = {"authorization": "Bearer second-key"}


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8000", "LOCALHOST", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:8000", "127.8.8.8"],
)
async def test_the_names_of_the_loopback_are_allowed_hosts(client: Client, host: str) -> None:
    assert (await client.post(URL, json=chat(), headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "evil.example:8000", "10.0.0.1", "[::2]", "", "127.0.0.1.evil.example"],
)
async def test_a_name_rebound_to_the_loopback_is_refused(client: Client, backend: FakeBackend, host: str) -> None:
    response = await client.post(URL, json=chat(), headers={"host": host})
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["code"]) == (403, "permission_error", "host_refused")
    assert backend.requests == []
    assert (await client.get("/health", headers={"host": host})).status_code == 403


async def test_the_operator_can_allow_some_hosts_or_all(serve: Serve) -> None:
    for allowed, host, status in [
        (("api.example",), "api.example:443", 200),
        (("API.example",), "api.EXAMPLE", 200),
        (("api.example",), "other.example", 403),
        (("*",), "other.example", 200),
    ]:
        response = await serve(allowed_hosts=allowed).post(URL, json=chat(), headers={"host": host})
        assert response.status_code == status


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer"}, {"authorization": "Bearer "}, {"authorization": "Bearer wrong"},
     {"authorization": "second-key"}, {"authorization": "Basic second-key"}, {"authorization": "Bearer second-key2"}],
)  # fmt: skip
@pytest.mark.parametrize("path", [URL, "/v1/models", "/tokenize", "/metrics", "/v1/nowhere"])
async def test_without_a_valid_key_requests_are_401(
    serve: Serve, backend: FakeBackend, headers: dict[str, str], path: str
) -> None:
    response = await serve(**KEYS).post(path, json=chat(), headers=headers)
    error = response.json()["error"]
    assert (response.status_code, error["type"]) == (401, "authentication_error")
    assert response.headers["www-authenticate"] == "Bearer"
    assert backend.requests == []


@pytest.mark.parametrize("key", ["Bearer first-key", "Bearer second-key", "bearer second-key", "Bearer clé"])
async def test_each_valid_key_is_accepted(serve: Serve, key: str) -> None:
    assert (await serve(**KEYS).post(URL, json=chat(), headers={b"authorization": key.encode()})).status_code == 200


async def test_each_key_is_an_account_whose_name_does_not_reveal_it(serve: Serve, backend: FakeBackend) -> None:
    for key in ("first-key", "second-key", "first-key"):
        await serve(**KEYS).post(URL, json=chat(), headers={"authorization": f"Bearer {key}"})
    first, second, again = (request.account for request in backend.requests)
    assert first == again != second
    assert "key" not in first + second


@pytest.mark.parametrize("path", ["/health", "/docs", "/openapi.json"])
async def test_health_and_the_documentation_need_no_key(serve: Serve, path: str) -> None:
    assert (await serve(**KEYS).get(path)).status_code == 200


async def test_a_callers_request_id_is_returned_or_a_new_one_generated(client: Client) -> None:
    response = await client.post(URL, json=chat(), headers={"x-request-id": "trace-1.a:b_c"})
    assert response.headers["x-request-id"] == "trace-1.a:b_c"
    made = {(await client.get(path)).headers["x-request-id"] for path in ("/health", "/health", "/nowhere", URL)}
    assert len(made) == 4


@pytest.mark.parametrize("sent", ["", "x" * 129, "a b", "é", "<script>", "a\tb"])
async def test_an_unsafe_request_id_is_replaced(client: Client, sent: str) -> None:
    response = await client.get("/health", headers={b"x-request-id": sent.encode()})
    assert response.headers["x-request-id"].startswith("req-")


async def test_each_request_logs_one_line(client: Client) -> None:
    with capture_logs() as logs:
        body = chat(user="u-1", metadata={"job": "nightly"}, safety_identifier="s-1", tier="turbo")
        response = await client.post(URL, json=body, headers={"x-request-id": "mine"})
    (line,) = logs
    assert line.pop("seconds") >= 0
    assert line == {
        "event": "request", "log_level": "info", "request_id": "mine", "method": "POST", "path": URL, "status": 200,
        "model": "demo", "tier": "turbo", "completion": response.json()["id"], "prompt_tokens": 7,
        "completion_tokens": 2, "user": "u-1", "metadata": {"job": "nightly"}, "safety_identifier": "s-1",
    }  # fmt: skip


SECRET = "a very private sentence"


async def hostile_and_good_requests(client: Client) -> None:
    private = [{"role": "user", "content": SECRET}]
    for fields in ({}, {"stream": True}, {"temperature": 3}, {"nonsense": SECRET}):
        await client.post(URL, json=chat(messages=private, **fields))
    await client.post(URL, json=chat(messages=[{"role": "user", "content": SECRET, "x": 1}]))
    await client.post("/tokenize", json={"text": SECRET})


async def test_no_prompt_text_and_no_key_is_logged(serve: Serve, backend: FakeBackend) -> None:
    client = serve(**KEYS)
    client.headers.update(BEARER)
    with capture_logs() as logs:
        await hostile_and_good_requests(client)
        backend.script = lambda request: [ValueError("inside")]
        await hostile_and_good_requests(client)
    assert len(logs) > 12
    assert SECRET not in str(logs)
    assert "second-key" not in str(logs)


async def test_prompts_are_logged_with_log_prompts(serve: Serve) -> None:
    with capture_logs() as logs:
        await serve(log_prompts=True).post(URL, json=chat(messages=[{"role": "user", "content": SECRET}]))
    assert SECRET in str(logs)


@pytest.mark.parametrize(
    "path", ["/index.html", "/v1", "/v1/embeddings", "/v1/completions", "/v1/responses", "/v1/models/x/y"]
)
async def test_an_unknown_path_is_404_in_openais_shape(client: Client, path: str) -> None:
    response = await client.get(path)
    error = response.json()["error"]
    assert (response.status_code, error["type"]) == (404, "invalid_request_error")
    assert error["code"] in ("not_found", "model_not_found")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", URL), ("DELETE", "/v1/models"), ("OPTIONS", URL), ("PUT", "/health")]
)
async def test_a_method_that_a_path_does_not_support_is_405(client: Client, method: str, path: str) -> None:
    response = await client.request(method, path)
    assert (response.status_code, response.json()["error"]["code"]) == (405, "method_not_allowed")
    assert response.headers["allow"]
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    ("health", "status"),
    [(Health("ok", restarts=2), 200), (Health("starting"), 503), (Health("failed", detail="The engine stopped."), 503)],
)
async def test_health_is_503_while_the_server_cannot_answer(serve: Serve, health: Health, status: int) -> None:
    response = await serve(health=lambda: health).get("/health")
    assert response.status_code == status
    assert response.json() == {
        "status": health.status,
        "restarts": health.restarts,
        "detail": health.detail,
        "deployments": {},
    }


async def test_metrics_count_requests_tokens_and_times(client: Client) -> None:
    await client.post(URL, json=chat(tier="turbo"))
    await client.post(URL, json=chat(tier="turbo", stream=True))
    await client.post(URL, json=chat(model="x" * 200))
    response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    values: dict[str, Any] = dict(line.rsplit(" ", 1) for line in response.text.splitlines() if line[0] != "#")
    labels = '{model="demo",tier="turbo"}'
    assert values['oruel_requests_total{model="demo",status="200",tier="turbo"}'] == "2.0"
    assert values['oruel_requests_total{model="",status="404",tier=""}'] == "1.0"
    assert values[f"oruel_prompt_tokens_total{labels}"] == "14.0"
    assert values[f"oruel_cached_prompt_tokens_total{labels}"] == "6.0"
    assert values[f"oruel_completion_tokens_total{labels}"] == "4.0"
    assert values[f"oruel_first_token_seconds_count{labels}"] == "2.0"
    assert "xxx" not in response.text
