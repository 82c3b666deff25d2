"""A full server with a real engine: which requests are refused or cancelled, and that their places become free."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from oruel.api.deadline import Deadlines
from oruel.backends.local import LocalBackend
from oruel.backends.preparation import ContextWindow
from oruel.engine.client import EngineClient
from oruel.engine.protocol import SequenceStarted, Start, TokenOutput
from oruel.llama.model import Model
from oruel.text.tokenizer import Tokenizer
from tests.api.conftest import CHAT, Serve, chat
from tests.engine.scripted_process import scripted_engine
from tests.fakes import MODEL, InProcessJobs, until
from tests.gguf_models import llama_model

pytestmark = [pytest.mark.anyio, pytest.mark.model]

CONTEXT = 2048
# The random model's ends, biased away, so that answers are as long as they are asked to be.
ENDS = {"376": -100, "378": -100}
PATIENT = Deadlines()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llama_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def tokenizer(path: Path) -> Iterator[Tokenizer]:
    with Model(path, vocabulary_only=True) as model:
        yield Tokenizer(model.vocabulary, model.chat_template)


@pytest.fixture
async def engine(path: Path) -> AsyncIterator[EngineClient]:
    """One sequence runs, one waits."""
    client = EngineClient(Start(model=str(path), threads=1, parallel=1, context=CONTEXT), max_waiting=1)
    try:
        await client.start()
        yield client
    finally:
        await client.close()


Ask = Callable[..., "asyncio.Task[httpx2.Response]"]


@pytest.fixture
def ask(tokenizer: Tokenizer, engine: EngineClient, serve: Serve) -> Ask:
    backend = LocalBackend(
        engine, tokenizer, InProcessJobs({MODEL: tokenizer}), tokenizer_name=MODEL, window=ContextWindow(MODEL, CONTEXT)
    )

    def begin(deadlines: Deadlines = PATIENT, **fields: Any) -> "asyncio.Task[httpx2.Response]":
        client = serve(backend=backend, deadlines=deadlines)
        return asyncio.create_task(client.post(CHAT, json=chat(logit_bias=ENDS, **fields), timeout=60))

    return begin


async def test_a_request_beyond_the_full_queue_is_503_with_retry_after(engine: EngineClient, ask: Ask) -> None:
    running = ask(max_tokens=1200)
    await until(lambda: engine.load.running == 1)
    waiting = ask(max_tokens=3)
    await until(lambda: engine.load.waiting == 1)
    refused = await ask(max_tokens=3)
    error = refused.json()["error"]
    assert (refused.status_code, error["type"], error["code"]) == (503, "overloaded_error", "overloaded")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert not running.done()
    assert (await running).json()["usage"]["completion_tokens"] == 1200
    assert (await waiting).json()["usage"]["completion_tokens"] == 3
    assert (await ask(max_tokens=3)).status_code == 200


async def test_a_request_past_the_queue_deadline_is_504_and_leaves_the_queue(engine: EngineClient, ask: Ask) -> None:
    running = ask(max_tokens=1800)
    await until(lambda: engine.load.running == 1)
    given_up = await ask(Deadlines(queue=0.05), max_tokens=3)
    assert given_up.status_code == 504
    assert "queue_seconds" in given_up.json()["error"]["message"]
    assert not running.done()
    # There is room for one in the queue: it is the one that was just given up.
    waiting = ask(max_tokens=3)
    running.cancel()
    assert (await waiting).status_code == 200
    assert (engine.load.running, engine.load.waiting) == (0, 0)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("deadlines", "said"),
    [(Deadlines(first_token=0.001), "first_token_seconds"), (Deadlines(whole=0.2), "total_seconds")],
    ids=["first token", "whole"],
)
async def test_a_request_past_its_deadline_makes_room_for_the_next(
    engine: EngineClient, ask: Ask, deadlines: Deadlines, said: str, stream: bool
) -> None:
    response = await ask(deadlines, stream=stream)
    if response.status_code == 200:
        assert stream
        *_, error, done = response.text.removesuffix("\n\n").split("\n\n")
        assert done == "data: [DONE]"
        failed = json.loads(error.removeprefix("data: "))["error"]
    else:
        assert response.status_code == 504
        failed = response.json()["error"]
    assert (failed["type"], failed["code"]) == ("timeout_error", "deadline_exceeded")
    assert said in failed["message"]
    steps = engine.load.steps
    assert (await ask(max_tokens=3)).status_code == 200
    assert (engine.load.running, engine.load.waiting) == (0, 0)
    assert engine.load.steps < steps + 1000, "the request that was given up ran on"


async def test_usage_counts_the_cached_prompt_tokens(
    tokenizer: Tokenizer, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, process = await scripted_engine(monkeypatch)
    client = serve(
        backend=LocalBackend(
            engine,
            tokenizer,
            InProcessJobs({MODEL: tokenizer}),
            tokenizer_name=MODEL,
            window=ContextWindow(MODEL, CONTEXT),
        )
    )
    asking = asyncio.create_task(client.post(CHAT, json=chat(n=2)))
    await until(lambda: len(process.submitted) == 2)
    first, second = (submit.sequence for submit in process.submitted)
    process.step(started=[SequenceStarted(first, 3)])
    process.step(TokenOutput(first, 65, "length"), started=[SequenceStarted(second, 5)])
    process.step(TokenOutput(second, 65, "length"))
    usage = (await asking).json()["usage"]
    assert usage["prompt_tokens"] == len(process.submitted[0].prompt)
    assert usage["prompt_tokens_details"] == {"cached_tokens": 3}
