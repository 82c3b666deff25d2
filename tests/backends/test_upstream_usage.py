"""The usage of an upstream server's answer: reported, or else estimated, and never more than it can be."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from oruel.backends.upstream import UpstreamBackend
from oruel.errors import UpstreamTimedOut
from oruel.http.exchange import upstream_client
from oruel.types import Accepted, Delta, Progress, UpstreamKind, Usage
from tests.backends.upstream import QUICK, REQUEST, answer, text
from tests.stub_server import DONE, HANG, HEAD, Stub, chunk, event, usage

pytestmark = pytest.mark.anyio


async def test_missing_usage_is_counted_and_false_usage_is_bounded(stub: Stub) -> None:
    stub.script = [HEAD, chunk("a"), chunk("b"), chunk(finish="stop"), DONE]
    assert (await answer(stub))[-1].usage == Usage(1, 2)
    stub.script = [HEAD, chunk("a", finish="stop"), usage(5, 10**30), DONE]
    assert (await answer(stub, replace(REQUEST, max_tokens=None)))[-1].usage == Usage(5, 2**31)
    stub.script = [HEAD, chunk("a", finish="stop"), usage(-5, 7, prompt_tokens_details={"cached_tokens": 99}), DONE]
    assert (await answer(stub))[-1].usage == Usage(0, 7, 0)


async def test_the_last_text_does_not_wait_for_the_usage(stub: Stub) -> None:
    stub.script = [HEAD, chunk("all", finish="stop"), 0.8, usage(3, 1), DONE]
    begun = asyncio.get_running_loop().time()
    async with upstream_client() as client:
        backend = UpstreamBackend(client, stub.base_url, "vllm", model="mine", upstream_model="theirs")
        async for item in backend.stream(REQUEST):
            if isinstance(item, Delta) and item.text:
                assert asyncio.get_running_loop().time() - begun < 0.5
    assert isinstance(item, Delta)
    assert item.usage == Usage(3, 1)


async def test_invalid_usage_counts_as_zero_and_is_limited_to_max_tokens(stub: Stub) -> None:
    stub.script = [HEAD, chunk("a", finish="stop"), event({"choices": [], "usage": {"prompt_tokens": None}}), DONE]
    assert (await answer(stub))[-1].usage == Usage(0, 0)
    stub.script = [HEAD, chunk("a", finish="stop"), usage(4.0, 10**12), DONE]
    assert (await answer(stub))[-1].usage == Usage(4, 20)


def timings(found: int, computed: int, generated: int) -> dict[str, Any]:
    return {"timings": {"cache_n": found, "prompt_n": computed, "predicted_n": generated}}


def counted(content: str, index: int = 0, **more: Any) -> bytes:
    """A chunk with the usage so far, which vLLM and llama.cpp's server report on request."""
    return event({"choices": [{"index": index, "delta": {"content": content}}], **more})


def used(prompt: int, completion: int) -> dict[str, Any]:
    return {"usage": {"prompt_tokens": prompt, "completion_tokens": completion}}


@pytest.mark.parametrize("together", [True, False])
async def test_usage_ends_at_a_stop_string(stub: Stub, together: bool) -> None:
    request = replace(REQUEST, stop=("STOP",), max_tokens=500)
    running = [counted("a b", **used(7, 2)), counted(" ST", **used(7, 3)), counted("OP", **used(7, 5))]
    rest = [counted(" more", **used(7, 9)), usage(7, 30), DONE]
    parts = [*running, *rest]
    stub.script = [HEAD, b"".join(parts)] if together else [HEAD, *[part for one in parts for part in (one, 0.01)]]
    deltas = await answer(stub, request)
    assert (text(deltas), deltas[-1].usage) == ("a b ", Usage(7, 5))
    stub.script = [HEAD, counted("a", **timings(4, 3, 1)), counted("STOP", **timings(4, 3, 3)), counted("x")]
    assert (await answer(stub, request))[-1].usage == Usage(7, 3, 4)


async def test_usage_is_summed_over_choices_in_any_form_of_report(stub: Stub) -> None:
    request = replace(REQUEST, n=2)
    ends = [chunk(finish="stop", index=index) for index in (0, 1)]
    said = [counted("a", 0), counted("b", 1), *ends]
    stub.script = [HEAD, *said, usage(7, 9, prompt_tokens_details={"cached_tokens": 5}), DONE]
    assert (await answer(stub, request))[-1].usage == Usage(7, 9, 5)
    once_per_choice = [usage(7, 4, prompt_tokens_details={"cached_tokens": cached}) for cached in (0, 6)]
    stub.script = [HEAD, *said, *once_per_choice, DONE]
    assert (await answer(stub, request))[-1].usage == Usage(7, 8, 0)
    stub.script = [HEAD, counted("a", 0, **used(7, 3)), counted("b", 1, **used(7, 2)), *ends, DONE]
    assert (await answer(stub, request))[-1].usage == Usage(7, 5)


REPORTS: list[tuple[str, UpstreamKind, list[Any], Progress]] = [
    ("nothing yet", "openai", [], Progress(Usage(0, 0), estimated=True)),
    ("no usage", "openai", [chunk("a"), chunk(""), chunk("b", index=1)], Progress(Usage(1, 2), estimated=True)),
    ("usage with each chunk", "vllm",
     [event({"choices": [{"index": index, "delta": {"content": "x"}}], "usage": {"prompt_tokens": 7,
      "completion_tokens": tokens}}) for index, tokens in ((0, 2), (1, 3), (0, 6))], Progress(Usage(7, 9))),
    ("usage of one choice", "vllm",
     [event({"choices": [{"index": 0, "delta": {"content": "x"}}], "usage": {"prompt_tokens": 7,
      "completion_tokens": 5}}), chunk("b", index=1)], Progress(Usage(7, 6), estimated=True)),
    ("timings", "llama-server",
     [event({"choices": [{"index": 0, "delta": {"content": "x"}}], "timings": {"cache_n": 4, "prompt_n": 3,
      "predicted_n": 2}})], Progress(Usage(7, 2, 4))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "said", "expected"), REPORTS, ids=[row[0] for row in REPORTS])
async def test_progress_is_what_the_server_reported_or_an_estimate(
    stub: Stub, name: str, kind: UpstreamKind, said: list[Any], expected: Progress
) -> None:
    stub.script = [HEAD, *said, HANG]
    async with upstream_client() as client:
        backend = UpstreamBackend(client, stub.base_url, kind, model="mine", upstream_model="theirs", timeouts=QUICK)
        progress = None
        with suppress(UpstreamTimedOut):
            async for item in backend.stream(replace(REQUEST, n=2)):
                if isinstance(item, Accepted):
                    progress = item.progress
    assert progress
    assert progress() == expected
