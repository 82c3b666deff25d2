"""Checks that hold for every answer, whatever the request."""

import json
from typing import Any

from tests.fuzz.answers import Answer
from tests.soak.wrong import require

NEVER = (500, 502)
ERROR_KEYS = {"message", "type", "param", "code"}
INTERNAL = ("internal_error", "upstream_failed", "engine_failed")


def judge(answer: Answer, *, may_be_cut: bool) -> None:
    """Raises CheckFailed. `may_be_cut`: the client may have closed the connection before the answer was complete."""
    require(answer.status not in NEVER, f"status {answer.status}: {bytes(answer.body[:300])!r}")
    if not answer.is_whole:
        require(may_be_cut, f"an incomplete answer of status {answer.status}: {bytes(answer.body[-300:])!r}")
        return
    kind = answer.headers.get(b"content-type", b"").partition(b";")[0]
    if answer.method == "HEAD":
        require(not answer.body, "an answer to HEAD with a body")
    elif answer.status >= 400:
        require(kind == b"application/json", f"an error of type {kind!r}: {bytes(answer.body[:300])!r}")
        judge_error(read_json(bytes(answer.body)))
    elif kind == b"application/json":
        read_json(bytes(answer.body))
    elif kind == b"text/event-stream":
        judge_stream(bytes(answer.body))


def judge_error(body: Any) -> None:
    """Checks for OpenAI's error format, or that of /health while the server is unhealthy."""
    if isinstance(body, dict) and "restarts" in body:
        return
    error = body.get("error") if isinstance(body, dict) else None
    require(isinstance(error, dict) and error.keys() == ERROR_KEYS, f"not OpenAI's error format: {body!r:.300}")
    assert isinstance(error, dict)
    require(isinstance(error["message"], str) and bool(error["message"]), f"an error without a message: {error!r:.300}")
    require(len(error["message"]) < 4000, f"a message of {len(error['message'])} characters")
    require(isinstance(error["type"], str), f"an error without a type: {error!r:.300}")
    require(error["code"] not in INTERNAL, f"{error!r:.300}")


def judge_stream(body: bytes) -> None:
    events = [event for event in body.decode().split("\n\n") if event and not event.startswith(":")]
    require(bool(events) and events[-1] == "data: [DONE]", f"a stream that ends with {events[-1:]!r:.300}")
    for event in events[:-1]:
        said = read_json(event.removeprefix("data: ").encode())
        if "error" in said:
            judge_error(said)


def read_json(text: bytes) -> Any:
    try:
        return json.loads(text, parse_constant=refuse_constant)
    except ValueError as error:
        require(False, f"invalid JSON: {error}: {text[:300]!r}")


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
