"""VLLMEngine reads what a real vLLM 0.32 with the plugin sent. The streams are read a second time here, event by event,
without Oru'el's code.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from oruel.constraints.spec import JsonObjectSpec, SchemaSpec
from oruel.engine.protocol import NO_TOKEN, TokenOutput
from oruel.engine.vllm.engine import VLLMEngine
from oruel.engine.vllm.token_server import TokenServer
from oruel.errors import InvalidParameter, OruelError, Overloaded, UpstreamFailed, VLLMReplaced, VLLMUnusable
from oruel.http.exchange import DEFAULT_TIMEOUTS, upstream_client
from oruel.hugging_face.folder import ModelFolder
from oruel.types import SamplingParams
from oruel.vocabulary.base import Vocabulary
from tests.engine.vllm.asking import ask, ids
from tests.engine.vllm.recorded_vllm import RecordedVLLM, serve_recordings
from tests.engine.vllm.recording import Recording
from tests.hugging_face_models import write_demo

MODEL = "oruel-demo"


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    return ModelFolder(write_demo(tmp_path_factory.mktemp("model") / "demo")).vocabulary


@pytest.fixture(autouse=True)
def no_seal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording can't have the seal of a request that is yet to come."""
    monkeypatch.setattr("oruel.engine.vllm.row.new_seal", lambda taken: [])


@asynccontextmanager
async def engine_of(vllm: RecordedVLLM, vocabulary: Vocabulary) -> AsyncIterator[VLLMEngine]:
    async with serve_recordings(vllm) as root, upstream_client() as session:
        engine = VLLMEngine(TokenServer(session, root, None, DEFAULT_TIMEOUTS), vocabulary, model=MODEL)
        try:
            yield engine
        finally:
            await engine.close()


def play(vocabulary: Vocabulary, *rows: str, piece: int = 2**16, **more: Any) -> list[list[TokenOutput]]:
    """The outputs of each choice."""

    async def scenario() -> list[list[TokenOutput]]:
        async with engine_of(RecordedVLLM(rows, piece=piece), vocabulary) as engine:
            return await ask(engine, choices=len(rows), **more)

    return asyncio.run(scenario())


def choices_of(name: str) -> list[Any]:
    """The choice of each event of the recording that has one."""
    lines = [line.removeprefix(b"data: ") for line in Recording.read(name).body.splitlines()]
    return [choice for line in lines if line.startswith(b"{") for choice in json.loads(line).get("choices", ())]


def tokens_of(name: str) -> list[int]:
    return [token for choice in choices_of(name) for token in choice["token_ids"]]


def text_of(vocabulary: Vocabulary, outputs: list[TokenOutput]) -> str:
    return b"".join(vocabulary.piece(one.token) for one in outputs if one.token != NO_TOKEN).decode()


def test_a_real_plugin_introduces_itself(vocabulary: Vocabulary) -> None:
    async def scenario() -> None:
        async with engine_of(RecordedVLLM(), vocabulary) as engine:
            hello = await engine.start()
            assert (hello.vllm, hello.runner, hello.vocabulary_size) == ("0.32.0", "v1", vocabulary.size)
            assert hello.priority_scheduling
            assert engine.problem is None

    asyncio.run(scenario())


@pytest.mark.parametrize(("name", "max_tokens", "finish"), [("plain", 40, "stop"), ("cut", 3, "length")])
@pytest.mark.parametrize("piece", [1, 7, 2**16])
def test_the_outputs_are_the_tokens_of_the_stream_however_it_is_cut(
    vocabulary: Vocabulary, name: str, max_tokens: int, finish: str, piece: int
) -> None:
    (outputs,) = play(vocabulary, name, max_tokens=max_tokens, piece=piece)
    assert ids(outputs) == tokens_of(name)
    assert [output.finish for output in outputs] == [None] * (len(outputs) - 1) + [finish]
    assert vocabulary.is_end(outputs[-1].token) == (finish == "stop")


def test_each_choice_is_a_request_of_its_own(vocabulary: Vocabulary) -> None:
    names = ("choice-0", "choice-1")
    assert [ids(outputs) for outputs in play(vocabulary, *names)] == [tokens_of(name) for name in names]


@pytest.mark.parametrize(("name", "top"), [("logprobs", 2), ("only-own-logprob", 0)])
def test_logprobs_are_those_of_the_stream(vocabulary: Vocabulary, name: str, top: int) -> None:
    (outputs,) = play(vocabulary, name, max_tokens=4, sampling=SamplingParams(logprobs=top))
    sent = [entry for choice in choices_of(name) for entry in choice["logprobs"]["content"]]
    assert [output.logprob for output in outputs] == [entry["logprob"] for entry in sent]
    for output, entry in zip(outputs, sent, strict=True):
        best = sorted({(-one["logprob"], one["token_id"]) for one in entry["top_logprobs"]})[:top]
        assert output.alternatives == [(token, -value) for value, token in best]


def test_a_complete_document_ends_without_a_token(vocabulary: Vocabulary) -> None:
    (outputs,) = play(vocabulary, "complete", constraint=SchemaSpec("{}"))
    assert json.loads(text_of(vocabulary, outputs)) == {"a": "b"}
    assert (outputs[-1].token, outputs[-1].finish) == (NO_TOKEN, "complete")


def test_a_document_that_the_budget_closed_ends_with_length(vocabulary: Vocabulary) -> None:
    (outputs,) = play(vocabulary, "closed", constraint=JsonObjectSpec(), max_tokens=12)
    assert isinstance(json.loads(text_of(vocabulary, outputs)), dict)
    assert outputs[-1].finish == "length"
    assert len(outputs) - 1 <= 12


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("unenforceable", InvalidParameter, "can't be enforced"),
        ("replaced", VLLMReplaced, "restarted with other settings"),
        ("unknown-model", VLLMUnusable, "Check base_url and model"),
        ("too-long", UpstreamFailed, "status 400"),
        ("own-sampling", UpstreamFailed, "status 400"),
        ("full", Overloaded, "overloaded"),
        ("aborted", UpstreamFailed, "ended this answer early"),
        ("died", UpstreamFailed, "status 500"),
    ],
)
def test_a_failed_row_is_a_typed_error(vocabulary: Vocabulary, name: str, error: type[OruelError], said: str) -> None:
    constraint = SchemaSpec("{}") if name == "unenforceable" else None
    with pytest.raises(error, match=said):
        play(vocabulary, name, max_tokens=1000, constraint=constraint)


def test_a_vllm_without_the_token_api_is_refused_with_the_flag_that_it_needs(vocabulary: Vocabulary) -> None:
    async def scenario() -> None:
        async with engine_of(RecordedVLLM(greeting="forbidden"), vocabulary) as engine:
            with pytest.raises(VLLMUnusable, match="--enable-scale-out"):
                await engine.start()

    asyncio.run(scenario())
