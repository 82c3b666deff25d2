"""What every answer must be, whatever was asked."""

import json
from typing import Any

from tests.fuzz.answers import Answer
from tests.soak.wrong import hold

NEVER = (500, 502)
ERROR_KEYS = {"message", "type", "param", "code"}
INTERNAL = ("internal_error", "upstream_failed", "engine_failed")


def judge(answer: Answer, *, may_be_cut: bool) -> None:
    """Raises Wrong. `may_be_cut`: the client ended the connection before the answer was whole."""
    hold(answer.status not in NEVER, f"status {answer.status}: {bytes(answer.body[:300])!r}")
    if not answer.is_whole:
        hold(may_be_cut, f"an answer of status {answer.status} that is cut: {bytes(answer.body[-300:])!r}")
        return
    kind = answer.headers.get(b"content-type", b"").partition(b";")[0]
    if answer.method == "HEAD":
        hold(not answer.body, "an answer to HEAD with a body")
    elif answer.status >= 400:
        hold(kind == b"application/json", f"an error of type {kind!r}: {bytes(answer.body[:300])!r}")
        judge_error(read_json(bytes(answer.body)))
    elif kind == b"application/json":
        read_json(bytes(answer.body))
    elif kind == b"text/event-stream":
        judge_stream(bytes(answer.body))


def judge_error(said: Any) -> None:
    """OpenAI's shape, or that of /health while it isn't well."""
    if isinstance(said, dict) and "restarts" in said:
        return
    error = said.get("error") if isinstance(said, dict) else None
    hold(isinstance(error, dict) and error.keys() == ERROR_KEYS, f"an error of another shape: {said!r:.300}")
    assert isinstance(error, dict)
    hold(isinstance(error["message"], str) and bool(error["message"]), f"an error without a message: {error!r:.300}")
    hold(len(error["message"]) < 4000, f"a message of {len(error['message'])} characters")
    hold(isinstance(error["type"], str), f"an error without a type: {error!r:.300}")
    hold(error["code"] not in INTERNAL, f"{error!r:.300}")


def judge_stream(body: bytes) -> None:
    events = [event for event in body.decode().split("\n\n") if event and not event.startswith(":")]
    hold(bool(events) and events[-1] == "data: [DONE]", f"a stream that ends with {events[-1:]!r:.300}")
    for event in events[:-1]:
        said = read_json(event.removeprefix("data: ").encode())
        if "error" in said:
            judge_error(said)


def read_json(text: bytes) -> Any:
    try:
        return json.loads(text, parse_constant=refuse)
    except ValueError as error:
        hold(False, f"no JSON, {error}: {text[:300]!r}")


def refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
