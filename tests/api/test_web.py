"""The playground's files over HTTP: what is served, with which headers, and that nothing else of the disk is."""

import hashlib
from pathlib import Path

import pytest

import oruel
from tests.api.conftest import Client, Serve

pytestmark = pytest.mark.anyio

WEB = Path(oruel.__file__).parent / "web"
KEYS = {"api_key_hashes": (hashlib.sha256(b"a-key").digest(),)}
STYLE = "/web/css/theme.css"


async def test_the_address_of_the_server_is_the_playground(client: Client) -> None:
    response = await client.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.content == (WEB / "index.html").read_bytes()


async def test_each_style_and_script_is_served_with_its_type(client: Client) -> None:
    types = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
    files = [path for folder in ("css", "js") for path in (WEB / folder).rglob("*") if path.suffix in types]
    assert files
    for path in files:
        response = await client.get(f"/web/{path.relative_to(WEB).as_posix()}")
        assert response.content == path.read_bytes()
        assert response.headers["content-type"] == types[path.suffix]


@pytest.mark.parametrize("path", ["/", STYLE])
async def test_browsers_run_only_what_the_server_sent(client: Client, path: str) -> None:
    headers = (await client.get(path)).headers
    policy = dict(rule.split(maxsplit=1) for rule in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/", STYLE])
async def test_a_copy_is_checked_each_time_and_sent_only_if_it_is_old(client: Client, path: str) -> None:
    first = await client.get(path)
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "no-cache"
    for known in (etag, f"W/{etag}", f'"other", {etag}'):
        again = await client.get(path, headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert (await client.get(path, headers={"if-none-match": '"other"'})).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/web/", "/web/css", "/web/css/", "/web/index.html", "/web/js/none.js", "/web/css/../../errors.py",
        "/web/css/..%2f..%2ferrors.py", "/web/%2e%2e/errors.py", "/web//etc/passwd", "/web/css/theme.css%00",
        "/web/css\\theme.css", "/web/CSS/theme.css",
    ],
)  # fmt: skip
async def test_nothing_but_these_files_is_served(client: Client, path: str) -> None:
    response = await client.get(path)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


async def test_pages_need_no_key_but_the_api_does(serve: Serve) -> None:
    client = serve(**KEYS)
    for path in ("/", STYLE, "/docs"):
        assert (await client.get(path)).status_code == 200
    assert (await client.get("/v1/models")).status_code == 401


async def test_head_works_and_post_does_not(client: Client) -> None:
    response = await client.head("/")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    refused = await client.post("/", json={})
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


async def test_the_playground_can_be_turned_off(serve: Serve) -> None:
    client = serve(web=False)
    for path in ("/", "/web/js/main.js"):
        error = (await client.get(path)).json()["error"]
        assert error["code"] == "not_found"
        assert "turned off" in error["message"]
        assert "--no-web" in error["message"]
    assert (await client.get(STYLE)).status_code == 200, "the parameter page keeps its style"
    assert (await client.get("/docs")).status_code == 200
