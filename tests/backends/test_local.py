"""The embedded engine as a backend, with a model that has random weights."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from oruel.backends.local import LocalBackend
from oruel.backends.preparation import ContextWindow
from oruel.engine.client import EngineClient
from oruel.engine.protocol import SequenceStarted, Start, TokenOutput
from oruel.errors import ContextLengthExceeded, TemplateTooCostly
from oruel.llama.model import Model
from oruel.text.tokenizer import Tokenizer
from oruel.types import (
    Accepted,
    ChatRequest,
    Delta,
    Message,
    Prepared,
    Progress,
    SamplingParams,
    Tool,
    ToolChoice,
    Usage,
)
from tests.engine.scripted_process import ScriptedProcess, scripted_engine
from tests.fakes import InProcessJobs, deltas_of, until
from tests.gguf_models import llama_model

pytestmark = pytest.mark.model

CONTEXT = 256
# Bans the end tokens of the random model, so that answers reach max_tokens.
ENDLESS = SamplingParams(temperature=1.2, seed=3, logit_bias={376: -100.0, 378: -100.0}, logprobs=0)
REQUEST = ChatRequest("id", "llama", (Message("user", "Hello"),), ENDLESS, max_tokens=80)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llama_model(tmp_path_factory.mktemp("model"))


def local(
    engine: EngineClient, tokenizer: Tokenizer, jobs: InProcessJobs | None = None, *, shares_with_all: bool = False
) -> LocalBackend:
    jobs = jobs or InProcessJobs({"llama": tokenizer})
    window = ContextWindow("llama", CONTEXT)
    return LocalBackend(engine, tokenizer, jobs, tokenizer_name="llama", window=window, shares_with_all=shares_with_all)


@asynccontextmanager
async def local_backend(
    path: Path, *, shares_with_all: bool = False, describes_tools: bool = False
) -> AsyncIterator[tuple[LocalBackend, EngineClient]]:
    engine = EngineClient(Start(model=str(path), threads=1, parallel=4, context=CONTEXT))
    with Model(path, vocabulary_only=True) as model:
        try:
            await engine.start()
            tokenizer = Tokenizer(model.vocabulary, model.chat_template, describes_tools=describes_tools)
            yield local(engine, tokenizer, shares_with_all=shares_with_all), engine
        finally:
            await engine.close()


async def answer(backend: LocalBackend, request: ChatRequest) -> list[Delta]:
    return await deltas_of(backend.stream(request))


def answers(path: Path, *requests: ChatRequest, describes_tools: bool = False) -> list[list[Delta]]:
    async def run() -> list[list[Delta]]:
        async with local_backend(path, describes_tools=describes_tools) as (backend, _):
            return [await answer(backend, request) for request in requests]

    return asyncio.run(run())


def text(deltas: list[Delta], choice: int = 0) -> str:
    return "".join(delta.text for delta in deltas if delta.choice == choice)


def test_every_choice_finishes_once_and_only_the_last_delta_has_usage(path: Path) -> None:
    (deltas,) = answers(path, replace(REQUEST, n=3))
    assert sorted(delta.choice for delta in deltas if delta.finish) == [0, 1, 2]
    assert [delta.usage is not None for delta in deltas] == [False] * (len(deltas) - 1) + [True]
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.completion_tokens == 3 * 80
    assert len({text(deltas, choice) for choice in range(3)}) == 3


def test_a_stop_cuts_the_text_and_usage_ends_with_its_last_token(path: Path) -> None:
    (whole,) = answers(path, REQUEST)
    pieces = [entry.bytes for delta in whole for entry in delta.logprobs]
    assert len(pieces) == 80
    full = text(whole)
    stop = full[20:23]
    start = full.index(stop)
    # The fewest tokens whose text contains the whole stop string, by brute force.
    needed = next(n for n in range(81) if stop in b"".join(pieces[:n]).decode(errors="replace"))
    (stopped,) = answers(path, replace(REQUEST, stop=("never said", stop)))
    assert text(stopped) == full[:start]
    assert stopped[-1].finish == "stop"
    assert stopped[-1].usage is not None
    assert stopped[-1].usage.completion_tokens == needed


def test_an_answer_that_fills_the_window_ends_with_length(path: Path) -> None:
    (deltas,) = answers(path, replace(REQUEST, max_tokens=None))
    usage = deltas[-1].usage
    assert usage is not None
    assert usage.prompt_tokens + usage.completion_tokens == CONTEXT
    assert deltas[-1].finish == "length"


def test_the_longest_prompt_leaves_room_for_one_token(path: Path) -> None:
    def says(characters: int) -> ChatRequest:
        return replace(REQUEST, messages=(Message("user", "\x01" * characters),), max_tokens=5)

    (deltas,) = answers(path, says(1))
    assert deltas[-1].usage is not None
    around = deltas[-1].usage.prompt_tokens - 1
    (deltas,) = answers(path, says(CONTEXT - 1 - around))
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.completion_tokens == 1
    with pytest.raises(ContextLengthExceeded, match=f"{CONTEXT} tokens.*{CONTEXT}"):
        answers(path, says(CONTEXT - around))


def test_if_tools_make_a_prompt_too_long_the_error_names_tools(path: Path) -> None:
    tools = (Tool("f", "A long description. " * 100), Tool("g"))
    asking = replace(REQUEST, tools=tools, tool_choice=ToolChoice("auto", ("f", "g")))
    with pytest.raises(ContextLengthExceeded, match=r"messages and tools have \d+ tokens.*fewer tools") as caught:
        answers(path, asking, describes_tools=True)
    assert caught.value.param == "tools"
    long = replace(asking, messages=(Message("user", "\x01" * 250),), tools=tools[1:])
    with pytest.raises(ContextLengthExceeded, match=r"messages and tools have .*Shorten the messages") as caught:
        answers(path, long, describes_tools=True)
    assert caught.value.param == "messages"


def test_closing_the_stream_cancels_the_request_in_the_engine(path: Path) -> None:
    async def run() -> None:
        async with local_backend(path) as (backend, engine):
            async with aclosing(backend.stream(replace(REQUEST, max_tokens=200))) as deltas:
                assert isinstance(await anext(deltas), Prepared)
                assert isinstance(await anext(deltas), Accepted)
            steps = engine.load.steps
            await answer(backend, replace(REQUEST, max_tokens=2))
            assert engine.load.running == 0
            assert engine.load.steps < steps + 150

    asyncio.run(run())


def test_cached_tokens_count_once_for_all_choices(path: Path) -> None:
    request = replace(REQUEST, messages=(Message("user", "\x01" * 150),), max_tokens=3)
    cold, again, choices = (deltas[-1].usage for deltas in answers(path, request, request, replace(request, n=3)))
    assert cold is not None
    assert again is not None
    assert choices is not None
    assert cold.cached_tokens == 0
    assert 0 < again.cached_tokens < again.prompt_tokens
    assert choices.cached_tokens == again.cached_tokens


@asynccontextmanager
async def scripted_backend(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[LocalBackend, ScriptedProcess, Tokenizer]]:
    engine, process = await scripted_engine(monkeypatch)
    with Model(path, vocabulary_only=True) as model:
        tokenizer = Tokenizer(model.vocabulary, model.chat_template)
        yield local(engine, tokenizer), process, tokenizer


def test_the_first_token_yields_a_delta_even_if_its_text_is_held_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = replace(REQUEST, sampling=SamplingParams(), stop=("AAB",))

    async def run() -> None:
        async with (
            scripted_backend(path, monkeypatch) as (backend, process, tokenizer),
            aclosing(backend.stream(request)) as deltas,
        ):
            assert isinstance(await anext(deltas), Prepared)
            first = asyncio.ensure_future(anext(deltas))
            await until(lambda: bool(process.submitted))
            sequence = process.submitted[0].sequence
            process.step(started=[SequenceStarted(sequence, 0)])
            assert isinstance(await first, Accepted)
            a = tokenizer.encode_text("A")[-1]
            process.step(TokenOutput(sequence, a))
            assert await anext(deltas) == Delta(0, "llama", "standard")
            process.step(TokenOutput(sequence, a))
            process.step(TokenOutput(sequence, a, finish="length"))
            last = await anext(deltas)
            assert isinstance(last, Delta)
            assert last.text == "AAA"

    asyncio.run(run())


def test_the_numbers_of_a_preparation_are_exact_and_nothing_is_submitted_before_the_next_item(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with scripted_backend(path, monkeypatch) as (backend, process, tokenizer):
            prompt = len(tokenizer.encode_request(REQUEST).tokens)
            for max_tokens, most in ((80, 80), (CONTEXT, CONTEXT - prompt), (None, CONTEXT - prompt)):
                stream = backend.stream(replace(REQUEST, max_tokens=max_tokens, n=2))
                assert await anext(stream) == Prepared(prompt, most)
                await asyncio.sleep(0.01)
                await stream.aclose()
            assert not process.submitted

    asyncio.run(run())


def test_progress_counts_the_tokens_that_have_arrived(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = replace(REQUEST, sampling=SamplingParams(), n=2)

    async def run() -> None:
        async with (
            scripted_backend(path, monkeypatch) as (backend, process, tokenizer),
            aclosing(backend.stream(request)) as answer,
        ):
            prompt = len(tokenizer.encode_request(request).tokens)
            await anext(answer)
            waiting = asyncio.ensure_future(anext(answer))
            await until(lambda: len(process.submitted) == 2)
            first, second = (submit.sequence for submit in process.submitted)
            process.step(started=[SequenceStarted(first, 3)])
            accepted = await waiting
            assert isinstance(accepted, Accepted)
            assert accepted.progress
            assert accepted.progress() == Progress(Usage(prompt, 0, 3))
            a = tokenizer.encode_text("A")[-1]
            process.step(TokenOutput(first, a))
            await anext(answer)
            process.step(TokenOutput(first, a), TokenOutput(second, a))
            await anext(answer)
            assert accepted.progress() == Progress(Usage(prompt, 3, 3))

    asyncio.run(run())


def test_the_tier_of_a_request_reaches_the_engine(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with scripted_backend(path, monkeypatch) as (backend, process, _):
            asking = asyncio.create_task(answer(backend, replace(REQUEST, tier="turbo")))
            await until(lambda: bool(process.submitted))
            assert process.submitted[0].tier == "turbo"
            process.step(TokenOutput(process.submitted[0].sequence, 65, finish="length", logprob=-1.0))
            assert {delta.tier for delta in await asking} == {"turbo"}

    asyncio.run(run())


@pytest.mark.parametrize("shares_with_all", [False, True])
def test_accounts_share_cached_tokens_only_if_the_operator_allows_it(path: Path, shares_with_all: bool) -> None:
    async def cached(*accounts: str) -> list[int]:
        found = []
        async with local_backend(path, shares_with_all=shares_with_all) as (backend, _):
            for account in accounts:
                usage = (await answer(backend, replace(REQUEST, account=account, max_tokens=2)))[-1].usage
                assert usage is not None
                found.append(usage.cached_tokens)
        return found

    ada, bob, again = asyncio.run(cached("ada", "bob", "ada"))
    assert ada == 0
    assert again > 0
    assert (bob > 0) is shares_with_all


NEVER_ENDS = (
    "{% for message in messages %}{{ message.content }}{% if message.content == 'go' %}{% for a in range(99999) %}"
)
NEVER_ENDS += "{% for b in range(99999) %}{% endfor %}{% endfor %}{% endif %}{% endfor %}"


def test_an_endless_template_is_refused_with_the_name_of_its_model(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        engine, process = await scripted_engine(monkeypatch)
        with Model(path, vocabulary_only=True) as model:
            tokenizer = Tokenizer(model.vocabulary, NEVER_ENDS)
            backend = local(engine, tokenizer)
            with pytest.raises(TemplateTooCostly, match=r"llama.*chat template.*steps") as caught:
                await answer(backend, replace(REQUEST, messages=(Message("user", "go"),)))
        assert caught.value.param == "messages"
        assert not process.submitted

    asyncio.run(run())


def test_a_slow_template_is_rendered_in_a_job(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = "{% for message in messages %}{% for a in range(9999) %}{% endfor %}{{ message.content }}{% endfor %}"

    async def run() -> InProcessJobs:
        engine, _ = await scripted_engine(monkeypatch)
        with Model(path, vocabulary_only=True) as model:
            tokenizer = Tokenizer(model.vocabulary, turns)
            jobs = InProcessJobs({"llama": tokenizer})
            backend = local(engine, tokenizer, jobs)
            for messages in (1, 40):
                request = replace(REQUEST, messages=(Message("user", "Hi"),) * messages)
                await backend._prepare(request)
        return jobs

    assert asyncio.run(run()).kinds == ["prompt"]
