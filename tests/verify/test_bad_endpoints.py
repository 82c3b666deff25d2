"""Endpoints that can't be tested, or not to the end: one clear line, and what was found so far is kept."""

import asyncio
import email.utils
import json
import socket
import time
from collections.abc import Iterator
from itertools import count, repeat
from pathlib import Path

import pytest

from oruel.errors import VerifyFailed
from oruel.verify.budget import Budget
from oruel.verify.check import Check
from oruel.verify.endpoint import open_endpoint
from oruel.verify.probe import Probe
from oruel.verify.reading import retry_seconds
from oruel.verify.reply import Reply, StreamReply
from oruel.verify.verdict import Verdict, cant_tell, honoured
from tests.cli.command_line import CommandLine, Completed
from tests.verify.scripted_endpoint import (
    MODEL,
    Part,
    Request,
    Script,
    always,
    completion,
    head,
    honest,
    models,
    respond,
    scripted_endpoint,
)


async def ask(probe: Probe) -> Verdict:
    reply = await probe.chat()
    return honoured() if reply.ok else cant_tell(f"status {reply.status}")


def asks(name: str) -> Check:
    return Check(name, name, "Does it answer?", "Asks.", 20, ask)


@pytest.fixture(autouse=True)
def checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oruel.verify.checks.CHECKS", tuple(asks(f"check_{n}") for n in range(1, 6)))


@pytest.fixture
def oruel(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def verify(oruel: CommandLine, script: Script, *arguments: str) -> Completed:
    with scripted_endpoint(script) as endpoint:
        return oruel.call("verify", endpoint.url, "--json", "found.json", *arguments)


def error_line(done: Completed) -> str:
    """The one line that says what is wrong."""
    [line] = [line for line in done.stderr.decode().splitlines() if line.startswith("oruel: ")]
    assert b"Traceback" not in done.stderr
    return line


def found(oruel: CommandLine) -> list[str]:
    """The outcomes in the JSON report."""
    report = json.loads((oruel.directory / "found.json").read_text())
    return [check["outcome"] for check in report["checks"]]


def after(answers: int, script: Script) -> Script:
    """An honest endpoint that follows the script after so many chat completions."""
    numbers = count()
    return lambda request: models(request) or (honest if next(numbers) < answers else script)(request)


# The survey sends 17 chat completions if the endpoint reports no log-probabilities.
SURVEY = 17


def test_nothing_listens(oruel: CommandLine) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}/v1"
        done = oruel.call("verify", url, "--json", "found.json")
    assert done.returncode == 2
    assert f"{url}/models can't be reached" in error_line(done)
    assert found(oruel) == []


@pytest.mark.parametrize("url", ["127.0.0.1:1/v1", "http://", "http://[", "ftp://127.0.0.1/v1", "nonsense"])
def test_a_url_that_is_none(oruel: CommandLine, url: str) -> None:
    done = oruel.call("verify", url)
    assert done.returncode == 2
    assert "can't be reached" in error_line(done)


@pytest.mark.parametrize("arguments", [(), ("--model", MODEL)])
def test_an_endpoint_that_asks_for_a_key(oruel: CommandLine, arguments: tuple[str, ...]) -> None:
    done = verify(oruel, lambda _: respond(401, {"error": {"message": "No key."}}), *arguments)
    assert done.returncode == 2
    assert error_line(done).endswith("asks for another key: No key. Send one with --api-key.")


def test_a_model_that_is_not_there(oruel: CommandLine) -> None:
    script = always(404, {"error": {"message": "The model `ghost` does not exist."}})
    done = verify(oruel, script, "--model", "ghost")
    assert done.returncode == 2
    assert error_line(done).endswith("has no model ghost: The model `ghost` does not exist.")


def test_a_server_that_lists_no_model(oruel: CommandLine) -> None:
    done = verify(oruel, lambda _: respond(200, {"data": []}))
    assert (done.returncode, "Name one with --model." in error_line(done)) == (2, True)


def test_a_base_url_without_its_last_part(oruel: CommandLine) -> None:
    with scripted_endpoint(lambda _: respond(404, {"detail": "Not Found"})) as endpoint:
        done = oruel.call("verify", endpoint.url.removesuffix("/v1"), "--model", MODEL)
    assert error_line(done).endswith("has no /chat/completions: Not Found. Most base URLs end with /v1.")


def test_a_web_page(oruel: CommandLine) -> None:
    page = "<!doctype html><html><title>Welcome</title></html>"
    done = verify(oruel, always(200, page, "text/html"))
    assert error_line(done).endswith("answered 200 with a web page. Is it the API's base URL?")


def test_a_redirect_is_named_rather_than_followed(oruel: CommandLine) -> None:
    done = verify(oruel, always(301, "", location="https://elsewhere.example/v1"))
    assert "redirects to https://elsewhere.example/v1" in error_line(done)


@pytest.mark.parametrize(
    "body", ["nonsense\x1b[31m", "", "[]", "5", "null", '{"choices": []}', '{"choices": "x"}', b"\xff\xfe"]
)
def test_nonsense(oruel: CommandLine, body: object) -> None:
    done = verify(oruel, always(200, body))
    assert done.returncode == 2
    assert "answered 200, but not with a chat completion" in error_line(done)
    assert b"\x1b" not in done.stderr


def test_a_server_that_always_fails(oruel: CommandLine) -> None:
    done = verify(oruel, always(500, {"error": {"message": "CUDA error:\nout of memory"}}))
    assert error_line(done).endswith("answered 500 to a plain request: CUDA error: out of memory.")


def test_a_rate_limit_is_waited_for_as_told_and_said(oruel: CommandLine) -> None:
    numbers = count()
    limited = respond(429, {"error": {"message": "Slow down."}}, retry_after="0.05")
    done = verify(oruel, lambda request: models(request) or (limited if next(numbers) % 4 == 1 else honest(request)))
    assert done.returncode == 0
    assert b"The endpoint answered 429: waiting 0.05 s." in done.stderr
    assert found(oruel) == ["honoured"] * 5
    report = json.loads((oruel.directory / "found.json").read_text())
    assert report["cost"]["seconds_waited"] >= 0.05
    assert b"s waited on rate limits" in done.stdout


def test_without_retry_after_each_wait_is_twice_as_long(oruel: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oruel.verify.endpoint.FIRST_WAIT_SECONDS", 0.02)
    done = verify(oruel, always(503, "busy"))
    waits = [line.split()[-2] for line in done.stderr.decode().splitlines() if "answered 503: waiting" in line]
    assert waits == ["0.02", "0.04", "0.08", "0.16", "0.32", "0.64"]


def test_a_rate_limit_that_never_ends_is_no_verdict(oruel: CommandLine) -> None:
    limited = respond(429, {"error": {"message": "Quota exceeded."}}, retry_after="0")
    done = verify(oruel, after(SURVEY + 2, lambda _: limited))
    assert done.returncode == 2
    assert found(oruel) == ["honoured", "honoured", "can't tell", "can't tell", "can't tell"]
    assert "still answered 429 after 6 waits: Quota exceeded." in error_line(done)


def test_a_wait_of_hours_is_declined(oruel: CommandLine) -> None:
    done = verify(oruel, always(503, {"error": "Maintenance."}, retry_after="7200"))
    assert error_line(done).endswith("answered 503 and asks to wait 7,200 s: Maintenance.")


def test_retry_after_may_be_a_date() -> None:
    soon = email.utils.format_datetime(email.utils.localtime())
    assert retry_seconds({"retry-after": soon}) == 0
    later = email.utils.formatdate(time.time() + 3600, usegmt=True)
    assert 3500 < (retry_seconds({"retry-after": later}) or 0) <= 3600
    assert [retry_seconds({"retry-after": value}) for value in ("", "soon", "Thu, 99 Foo")] == [None] * 3
    assert retry_seconds({"retry-after": "-5"}) == 0


def test_a_slow_endpoint(oruel: CommandLine) -> None:
    def slow(request: Request) -> Iterator[Part]:
        yield head(200, content_length="1000")
        for _ in range(300):
            yield b" "
            time.sleep(0.01)

    done = verify(oruel, lambda request: models(request) or slow(request), "--timeout", "1")
    assert done.returncode == 2
    assert "did not complete an answer within 1 s" in error_line(done)


def test_a_budget_that_runs_out_half_way(oruel: CommandLine) -> None:
    done = verify(oruel, honest, "--budget", str(10 * (SURVEY + 3)))
    assert done.returncode == 2
    assert found(oruel) == ["honoured", "honoured", "honoured", "can't tell"]
    assert error_line(done).endswith("after 4 of 5 checks: The budget of 200 tokens is spent.")


def test_a_budget_that_does_not_reach_the_first_check(oruel: CommandLine) -> None:
    done = verify(oruel, honest, "--budget", "30")
    assert (done.returncode, found(oruel)) == (2, [])
    assert "The budget of 30 tokens is spent." in error_line(done)


def test_usage_that_lies_does_not_stretch_the_budget(oruel: CommandLine) -> None:
    done = verify(oruel, always(200, completion(total_tokens=-(10**9))), "--budget", "300")
    assert done.returncode == 2


@pytest.mark.parametrize("end", [b"", None], ids=["closed", "reset"])
def test_connections_that_break_half_way(oruel: CommandLine, end: Part) -> None:
    broken: list[Part] = [head(200, content_length="1000") + b'{"choices": [', end]
    done = verify(oruel, after(SURVEY + 1, lambda _: broken))
    assert done.returncode == 2
    assert found(oruel) == ["honoured", "can't tell", "can't tell", "can't tell"]
    assert "broke off an answer" in error_line(done)


def test_a_fault_found_before_the_end_decides_the_status(oruel: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    async def differs(probe: Probe) -> Verdict:
        from oruel.verify.verdict import differs

        return differs("it says hi")

    checks = (Check("rude", "rude", "?", "?", 1, differs), *(asks(f"check_{n}") for n in range(4)))
    monkeypatch.setattr("oruel.verify.checks.CHECKS", checks)
    done = verify(oruel, after(SURVEY, lambda _: [None]))
    assert (done.returncode, found(oruel)[0]) == (1, "differs")


def chat(script: Script, limit: float = 20) -> Reply:
    async def send() -> Reply:
        with scripted_endpoint(script) as server:
            async with open_endpoint(server.url, MODEL, None, Budget(), limit) as endpoint:
                return await endpoint.chat()

    return asyncio.run(send())


def stream(*parts: Part, limit: float = 20) -> StreamReply:
    async def send() -> StreamReply:
        with scripted_endpoint(lambda _: [head(200, "text/event-stream"), *parts]) as server:
            async with open_endpoint(server.url, MODEL, None, Budget(), limit) as endpoint:
                return await endpoint.stream()

    return asyncio.run(send())


def endless(piece: bytes) -> Script:
    return lambda _: (part for parts in ([head(200, "text/event-stream")], repeat(piece)) for part in parts)


@pytest.mark.parametrize(
    ("piece", "limit"), [(b"x" * 2**16, "32 MiB"), (b"data: {}\n\n" * 2**12, "100,000 events")], ids=["line", "events"]
)
def test_an_endless_answer_ends(piece: bytes, limit: str) -> None:
    async def send() -> None:
        with scripted_endpoint(endless(piece)) as server:
            async with open_endpoint(server.url, MODEL, None, Budget()) as endpoint:
                with pytest.raises(VerifyFailed, match=limit):
                    await endpoint.stream()
                with pytest.raises(VerifyFailed, match="exceeds 32 MiB"):
                    await endpoint.chat()

    asyncio.run(send())


def test_an_endless_stream_of_nothing_ends() -> None:
    with pytest.raises(VerifyFailed, match=r"within 0\.2 s|32 MiB"):
        stream(*repeat(b": ping\n\n", 10**6), limit=0.2)


def test_a_deep_answer_counts_as_text() -> None:
    for levels in (200, 900, 100_000):
        body = b"[" * levels + b"]" * levels
        assert chat(lambda _, body=body: respond(200, body)).body == body.decode()  # type: ignore[misc]


def test_numbers_that_json_does_not_know_count_as_text() -> None:
    assert chat(lambda _: respond(200, '{"choices": NaN}')).body == '{"choices": NaN}'


def test_invalid_events_are_kept_as_text() -> None:
    reply = stream(b"data: {broken\n\n", b'data: "\xff"\n\n', b"event: x\ndata: [1]\n\n", b"data: [DONE]\n\n")
    assert [chunk.data for chunk in reply.chunks] == ["{broken", '"\N{REPLACEMENT CHARACTER}"', [1]]
    assert (reply.done, reply.text(), reply.usage) == (True, "", {})


def test_a_stream_may_end_in_the_middle_of_a_line() -> None:
    reply = stream(b'data: {"a"', b': 1}\r\n\r\ndata: {"b": 2}')
    assert [chunk.data for chunk in reply.chunks] == [{"a": 1}, {"b": 2}]
    assert not reply.done


def test_a_stream_that_breaks_off_is_an_error() -> None:
    with pytest.raises(VerifyFailed, match="broke off an answer"):
        stream(b'data: {"a": 1}\n\n', None)


def test_a_connection_that_closes_without_an_answer_is_tried_once_more() -> None:
    answers = iter([[], respond(200, completion("Hi"))])
    assert chat(lambda _: next(answers)).text == "Hi"
    with pytest.raises(VerifyFailed, match="broke off an answer"):
        chat(lambda _: [])
