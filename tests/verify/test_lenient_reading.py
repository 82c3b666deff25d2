"""Answers of any shape: reading them never raises, and a run over them ends with verdicts."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from oruel.errors import VerifyFailed
from oruel.verify.budget import Budget
from oruel.verify.check import Check
from oruel.verify.checks import CHECKS
from oruel.verify.endpoint import Endpoint
from oruel.verify.profile import ORUEL
from oruel.verify.reading import error_message
from oruel.verify.reply import Chunk, Reply, StreamReply
from oruel.verify.runner import run_checks
from oruel.verify.survey import survey

NAMES = [
    "choices",
    "message",
    "delta",
    "content",
    "role",
    "finish_reason",
    "index",
    "logprobs",
    "token",
    "logprob",
    "top_logprobs",
    "bytes",
    "usage",
    "total_tokens",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "error",
    "param",
    "data",
    "id",
    "meta",
    "n_ctx",
    "detail",
]
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from([10**400, -1, 2**63])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
)
# Objects that look like a completion, except where any value replaces a part of it.
entries = st.fixed_dictionaries(
    {}, optional={"token": values, "logprob": values, "bytes": values, "top_logprobs": values | st.lists(values)}
)
messages = (
    st.fixed_dictionaries(
        {}, optional={"content": values, "tool_calls": values, "reasoning": values, "reasoning_content": st.text()}
    )
    | values
)
choices = st.fixed_dictionaries(
    {},
    optional={
        "index": values,
        "message": messages,
        "delta": messages,
        "finish_reason": values,
        "logprobs": st.fixed_dictionaries({"content": st.lists(entries | values, max_size=3) | values}) | values,
    },
)
bodies = (
    st.fixed_dictionaries(
        {}, optional={"choices": st.lists(choices | values, max_size=3) | values, "usage": values, "error": values}
    )
    | values
)


@settings(max_examples=200, deadline=None)
@given(bodies, st.integers(0, 9))
def test_reading_a_body_never_raises(body: Any, index: int) -> None:
    reply = Reply({}, 200, {}, body)
    assert isinstance(reply.ok, bool)
    assert all(
        isinstance(text, str) for text in [reply.text, *reply.whole_texts, reply.error_text, error_message(body)]
    )
    assert reply.finish is None or isinstance(reply.finish, str)
    assert reply.completion_tokens is None or reply.completion_tokens >= 0
    assert all(isinstance(one, dict) for one in [reply.usage, reply.error, *reply.choices, *reply.calls])
    assert len(reply.text_tokens()) <= len(reply.tokens())
    for token in reply.tokens(index):
        assert isinstance(token.text, str)
        assert all(isinstance(logprob, float) for logprob in (token.logprob, *dict(token.top).values()))
        assert token.bytes is None or all(isinstance(one, int) for one in token.bytes)


@settings(max_examples=100, deadline=None)
@given(st.lists(bodies, max_size=4), st.integers(0, 2))
def test_reading_a_stream_never_raises(events: list[Any], choice: int) -> None:
    reply = StreamReply({}, 200, {}, tuple(Chunk(event, 0.0) for event in events))
    assert isinstance(reply.text(choice) + reply.thoughts, str)
    assert isinstance(reply.usage, dict)
    assert all(isinstance(one, dict) for one in reply.deltas(choice))
    assert reply.exchange.answer == events or events != events  # NaN differs from itself


def endpoint_that(answer: Callable[[httpx2.Request], httpx2.Response]) -> Endpoint:
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    return Endpoint("http://fuzz/v1", "fuzz", client, Budget())


def respond(body: Any, streams: bool) -> httpx2.Response:
    """Floats that JSON can't write make a body that isn't JSON."""
    text = json.dumps(body)
    kind = "text/event-stream" if streams else "application/json"
    return httpx2.Response(200, content=f"data: {text}\n\n" if streams else text, headers={"content-type": kind})


@settings(max_examples=50, deadline=None)
@given(bodies)
def test_the_survey_of_any_endpoint_gives_facts_or_one_line(body: Any) -> None:
    said = ""
    try:
        asyncio.run(survey(endpoint_that(lambda _: respond(body, streams=False))))
    except VerifyFailed as error:
        said = error.message
    assert said.isprintable()


TOP = [{"token": token, "logprob": -1.5, "bytes": [97]} for token in "abcd"]
PLAIN = {
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "a"},
            "delta": {"content": "a"},
            "finish_reason": "length",
            "logprobs": {"content": [{"token": "a", "logprob": -1.5, "bytes": [97], "top_logprobs": TOP}]},
        }
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
}


def places(value: Any) -> Iterator[tuple[Any, ...]]:
    """The paths to all parts of a JSON value."""
    yield ()
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from ((key, *rest) for rest in places(one))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


# As of servers that list tokens which can't be drawn.
IMPOSSIBLE = [{"token": token, "logprob": log, "bytes": [97]} for token, log in [("a", 0), ("b", -9999), ("c", -9999)]]
LISTED = ("choices", 0, "logprobs", "content", 0, "top_logprobs")
nearly_plain = st.builds(replaced, st.just(PLAIN), st.sampled_from(list(places(PLAIN))), values)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(odd=nearly_plain | bodies)
@example(odd=replaced(PLAIN, LISTED, IMPOSSIBLE))
def test_every_check_ends_with_a_verdict_whatever_the_endpoint_answers(check: Check, odd: Any) -> None:
    """After an honest survey, all answers have any shape. A check must not trip over it."""
    surveyed = False

    def answer(request: httpx2.Request) -> httpx2.Response:
        nonlocal surveyed
        surveyed = surveyed or request.url.path.endswith("/models")
        return respond(odd if surveyed else PLAIN, streams=b'"stream": true' in request.content)

    report = asyncio.run(run_checks(endpoint_that(answer), [check], ORUEL, seed=1))
    assert "has a shape that the check can't read" not in report.results[0].verdict.how
