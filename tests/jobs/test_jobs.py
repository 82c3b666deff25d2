"""Jobs in real processes: their answers, and that no job outlives its limits, its caller or its server."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from oruel.api.examiner import Written, examine_schemas
from oruel.api.tokenize import TokenizeCall, TokenizeWork, tokenize_aside
from oruel.app import JOB_FUNCTIONS
from oruel.backends.preparation import ContextWindow, PreparationQuestion, prepare_in_job
from oruel.config import engine_environment
from oruel.errors import InvalidParameter, Overloaded, PreparationFailed, StartupError, TooCostly, UnsupportedParameter
from oruel.hugging_face.folder import ModelFolder
from oruel.jobs.client import ONE_THREAD, JobClient
from oruel.jobs.messages import GgufTokenizer, HuggingFaceTokenizer, Limits, TokenizerSource
from oruel.llama.model import Model
from oruel.text.tokenizer import Tokenizer
from oruel.types import ChatRequest, Message, SamplingParams, Tool, ToolChoice
from tests.fakes import until
from tests.gguf_models import llama_model
from tests.hugging_face_models import write_demo
from tests.jobs import works

MEBIBYTE = 2**20
TEST_WORKS = dict.fromkeys((works.double, works.refuse, works.fail, works.abort))


@asynccontextmanager
async def job_client(limits: Limits, *sources: TokenizerSource) -> AsyncIterator[JobClient]:
    client = JobClient({**JOB_FUNCTIONS, works.double: None}, engine_environment(), limits)
    try:
        async with asyncio.timeout(60):
            await client.open(sources)
            yield client
    finally:
        await client.close()


def with_jobs(limits: Limits, use: Callable[[JobClient], Awaitable[None]]) -> None:
    async def run() -> None:
        async with job_client(limits) as client:
            await use(client)

    asyncio.run(run())


def is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


async def process_in(file: Path) -> int:
    """Waits for the process id that `write_pid` writes to the file."""
    await until(file.exists)
    return int(await asyncio.to_thread(file.read_text))


@pytest.mark.parametrize(
    ("work", "limits", "said"),
    [
        (works.compute_for_ever, Limits(cpu_seconds=0.2), "Preparing tools takes more than 0.2 s of CPU time"),
        (works.fill_memory, Limits(memory=64 * MEBIBYTE), "Preparing tools takes more than 64 MiB of memory"),
    ],
    ids=["CPU time", "memory"],
)
def test_a_job_beyond_its_limit_is_refused_and_its_process_ends(
    work: Callable[..., None], limits: Limits, said: str, tmp_path: Path
) -> None:
    async def use(client: JobClient) -> None:
        with pytest.raises(TooCostly, match=said) as caught:
            await client.run(work, str(tmp_path / "number"), kind="schema", param="tools")
        assert caught.value.param == "tools"
        assert is_gone(await process_in(tmp_path / "number"))
        assert await client.run(works.double, [21], kind="schema") == [42]

    with_jobs(limits, use)


def test_an_error_in_a_job_is_raised_in_its_caller() -> None:
    async def use(client: JobClient) -> None:
        with pytest.raises(UnsupportedParameter, match="no such thing") as caught:
            await client.run(works.refuse, "tier", kind="body")
        assert caught.value.param == "tier"
        with pytest.raises(RuntimeError, match="ZeroDivisionError: 7"):
            await client.run(works.fail, "7", kind="body")
        with pytest.raises(TooCostly, match="A library crashed while preparing the request body"):
            await client.run(works.abort, "", kind="body")

    with_jobs(Limits(), use)


def test_cancelling_the_caller_ends_the_job(tmp_path: Path) -> None:
    async def use(client: JobClient) -> None:
        calling = asyncio.create_task(client.run(works.wait_for_ever, str(tmp_path / "number"), kind="schema"))
        process = await process_in(tmp_path / "number")
        calling.cancel()
        await until(lambda: is_gone(process))

    with_jobs(Limits(), use)


def test_a_short_job_runs_even_if_long_ones_occupy_every_slot(tmp_path: Path) -> None:
    async def use(client: JobClient) -> None:
        files = [str(tmp_path / name) for name in "ab"]
        long = [asyncio.create_task(client.run(works.compute_for_ever, file, kind="schema")) for file in files]
        for file in files:
            await process_in(Path(file))
        assert await client.run(works.double, [1], kind="schema") == [2]
        done, (left,) = await asyncio.wait(long, return_when=asyncio.FIRST_COMPLETED)
        with pytest.raises(Overloaded, match=r"was stopped after .* s of CPU time, because other requests needed"):
            await done.pop()
        left.cancel()

    with_jobs(Limits(slots=2, cpu_seconds=60.0), use)


def test_jobs_are_refused_if_the_queue_is_full(tmp_path: Path) -> None:
    async def use(client: JobClient) -> None:
        files = [str(tmp_path / name) for name in "abc"]
        waiting = [asyncio.create_task(client.run(works.wait_for_ever, file, kind="schema")) for file in files]
        with pytest.raises(Overloaded, match="Too many requests are waiting"):
            await asyncio.gather(*waiting)
        for task in waiting:
            task.cancel()

    with_jobs(Limits(slots=1, queue=1), use)


def test_the_memory_of_all_jobs_together_is_limited(tmp_path: Path) -> None:
    async def use(client: JobClient) -> None:
        with pytest.raises(Overloaded, match="other requests needed its resources"):
            await client.run(works.fill_memory, str(tmp_path / "number"), kind="schema")
        assert is_gone(await process_in(tmp_path / "number"))

    with_jobs(Limits(memory=2**33, total_memory=16 * MEBIBYTE), use)


def test_a_job_server_that_dies_fails_its_jobs_and_is_restarted(tmp_path: Path) -> None:
    async def use(client: JobClient) -> None:
        calling = asyncio.create_task(client.run(works.compute_for_ever, str(tmp_path / "number"), kind="schema"))
        process = await process_in(tmp_path / "number")
        assert client.pid
        os.kill(client.pid, signal.SIGKILL)
        os.kill(process, signal.SIGKILL)
        with pytest.raises(PreparationFailed, match="died during this one"):
            await calling
        with pytest.raises(PreparationFailed, match="Try again"):
            await client.run(works.double, [1], kind="schema")
        await until(lambda: client.restarts == 1 and client.is_open)
        assert await client.run(works.double, [1], kind="schema") == [2]

    with_jobs(Limits(), use)


def test_the_job_server_and_its_jobs_end_with_the_api_process(tmp_path: Path) -> None:
    async def run() -> None:
        async with job_client(Limits()) as client:
            calling = asyncio.create_task(client.run(works.wait_for_ever, str(tmp_path / "number"), kind="schema"))
            process, server = await process_in(tmp_path / "number"), client.pid
            assert server
        with pytest.raises(PreparationFailed):
            await calling
        assert is_gone(server)
        await until(lambda: is_gone(process))

    asyncio.run(run())


def test_a_model_that_the_job_server_cannot_open_is_a_startup_error(tmp_path: Path) -> None:
    async def run() -> None:
        async with job_client(Limits(), GgufTokenizer(str(tmp_path / "none.gguf"), None, False)):
            raise AssertionError

    with pytest.raises(StartupError, match=r"none\.gguf can't be read"):
        asyncio.run(run())


def test_jobs_get_the_variables_of_libraries_but_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {
        "ORUEL_API_KEY": "sk-own",
        "UPSTREAM_KEY": "sk-theirs",
        "HF_TOKEN": "hf-x",
        "UNRELATED": "x",
        "TZ": "UTC",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    async def use(client: JobClient) -> None:
        found = await client.run(works.environment, "", kind="body")
        assert found.items() >= (engine_environment() | ONE_THREAD).items()
        assert found.keys() & variables.keys() == {"TZ"}

    with_jobs(Limits(), use)


PARAMETERS = {"type": "object", "properties": {"city": {"type": "string", "pattern": "^[A-Z]"}}}
REQUEST = ChatRequest(
    "id",
    "llama",
    tuple(Message("user", f"Hello {turn}, été") for turn in range(40)),
    SamplingParams(logit_bias={3: -1.0}),
    tools=(Tool("f", "Describes", {**PARAMETERS, "maximum": 10**30}),),
    tool_choice=ToolChoice("auto", ("f",)),
)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the system doesn't list threads")
def test_jobs_tokenize_with_a_model_in_hugging_face_form(tmp_path: Path) -> None:
    folder = write_demo(tmp_path / "demo")
    model = ModelFolder(folder)
    here = {str(folder): Tokenizer(model.vocabulary, model.chat_template)}
    conversation = PreparationQuestion(str(folder), ContextWindow("demo", 4096), REQUEST)
    hostile = [
        TokenizeWork(str(folder), "demo", TokenizeCall(text=word * 200_000)) for word in ("a", " ", "e\u0301", "<")
    ]

    async def run() -> None:
        async with job_client(Limits(), HuggingFaceTokenizer(str(folder), False)) as client:
            assert await client.run(prepare_in_job, conversation, kind="prompt") == prepare_in_job(here, conversation)
            for text in hostile:
                assert await client.run(tokenize_aside, text, kind="tokenize") == tokenize_aside(here, text)
            assert len(os.listdir(f"/proc/{client.pid}/task")) == 1

    asyncio.run(run())


def test_a_job_server_refuses_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    async def run() -> None:
        async with job_client(Limits(), HuggingFaceTokenizer(str(tmp_path), False)):
            pass

    with pytest.raises(StartupError, match=r"has no config\.json"):
        asyncio.run(run())


@pytest.mark.model
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the system doesn't list threads")
def test_jobs_give_the_same_answers_as_calls_in_this_process(tmp_path: Path) -> None:
    path = str(llama_model(tmp_path))
    schemas = [Written('{"type": "object", "properties": {"a": {"not": {"type": "null"}}}}', True)]
    conversation = PreparationQuestion(path, ContextWindow("llama", 4096), REQUEST)
    text = TokenizeWork(path, "llama", TokenizeCall(text="Hello <|im_end|> 🦙"))
    too_long = TokenizeWork(path, "llama", TokenizeCall(text="x" * 8_000_000))

    async def run() -> None:
        async with job_client(Limits(), GgufTokenizer(path, None, True)) as client:
            with Model(path, vocabulary_only=True) as model:
                here = {path: Tokenizer(model.vocabulary, model.chat_template, describes_tools=True)}
                prepared = await client.run(prepare_in_job, conversation, kind="prompt")
                assert prepared == prepare_in_job(here, conversation)
                assert prepared.constraint
                assert await client.run(examine_schemas, schemas, kind="schema") == examine_schemas(here, schemas)
                assert await client.run(tokenize_aside, text, kind="tokenize") == tokenize_aside(here, text)
                with pytest.raises(InvalidParameter, match=r"at least .* tokens. Send at most"):
                    await client.run(tokenize_aside, too_long, kind="tokenize")
            assert len(os.listdir(f"/proc/{client.pid}/task")) == 1

    asyncio.run(run())
