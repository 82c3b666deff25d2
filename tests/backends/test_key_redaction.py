"""Callers never see the API key of an upstream server, even if the server's error message quotes it."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oruel.backends.key_redaction import KeyRedaction
from oruel.contract.kinds import abbreviate
from oruel.errors import InvalidParameter, OruelError, UpstreamFailed
from oruel.http.redaction import redact_key
from oruel.types import ChatRequest, Delta, Message, SamplingParams
from tests.fakes import FakeBackend, doing, saying

KEY = "sk-7h1s-1s-n0b0dys"
REQUEST = ChatRequest("id", "m", (Message("user", "Hello"),), SamplingParams())


def answer(backend: FakeBackend) -> str:
    async def run() -> str:
        return "".join(
            [item.text async for item in KeyRedaction(backend, KEY).stream(REQUEST) if isinstance(item, Delta)]
        )

    return asyncio.run(run())


def test_an_answer_is_passed_on_unchanged() -> None:
    assert answer(FakeBackend(saying("Hello", " ", KEY))) == f"Hello {KEY}"


@pytest.mark.parametrize(
    "error", [UpstreamFailed(f"Status 401: no such key: {KEY}."), InvalidParameter(f"Not {KEY}", param=KEY)]
)
def test_no_error_repeats_the_key(error: OruelError) -> None:
    with pytest.raises(type(error)) as refused:
        answer(FakeBackend(doing(error)))
    assert KEY not in f"{refused.value} {refused.value.message} {refused.value.param} {refused.value.args}"
    assert "[key]" in refused.value.message


@given(st.text("xyz .…"), st.text("xyz .…"), st.integers(0, 60))
def test_a_cut_text_contains_no_part_of_the_key(before: str, after: str, limit: int) -> None:
    for cut in (abbreviate(before + KEY + after, limit), (before + KEY + after)[:limit]):
        shown = redact_key(cut, KEY)
        assert KEY[:4] not in shown
