"""The same tokens give the same answer, whether they come from the embedded engine or from a vLLM with the plugin."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from oruel.api.chat.completion import answer_choice
from oruel.backends.local import LocalBackend
from oruel.backends.preparation import ContextWindow
from oruel.cli.model_source import bundled_model
from oruel.engine.client import EngineClient
from oruel.engine.generation import Generation
from oruel.engine.protocol import NO_TOKEN, Start, TokenOutput
from oruel.engine.token_engine import TokenEngine
from oruel.engine.vllm.engine import VLLMEngine
from oruel.engine.vllm.token_server import TokenServer
from oruel.engine.vllm.wire import CLOSED_MARKS, COMPLETE_MARKS, RowRequest, ending_tokens
from oruel.http.exchange import UpstreamTimeouts, upstream_client
from oruel.hugging_face.folder import ModelFolder
from oruel.llama.model import Model
from oruel.text.tokenizer import Tokenizer
from oruel.types import ChatRequest, Message, ResponseFormat, SamplingParams, Tool, ToolChoice
from tests.engine.vllm.behind_oruel import stub_of
from tests.engine.vllm.stub_vllm import StubVLLM, message_of, serve_stub
from tests.fakes import InProcessJobs, deltas_of
from tests.hugging_face_models import write_demo

pytestmark = pytest.mark.model

CONTEXT = 400
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = (Tool("get_weather", "Get the current weather in a city.", CITY, True),)
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
WARM = SamplingParams(temperature=0.9, seed=7)
COLD = SamplingParams(temperature=0.0, seed=1)


def says(content: str, sampling: SamplingParams = COLD, **fields: Any) -> ChatRequest:
    return ChatRequest("id", "m", (Message("user", content),), sampling, **{"max_tokens": 60, **fields})


REQUESTS = {
    "text": says("Tell me a joke.", WARM),
    "choices": says("Tell me a joke.", WARM, n=3),
    "a limit": says("Count to ten.", max_tokens=5),
    "stops": says("Count to ten.", stop=("5", " 4,"), n=2),
    "logprobs": says("What is 2 + 2?", replace(WARM, logprobs=5)),
    "logprobs without alternatives": says("What is 2 + 2?", replace(WARM, logprobs=0), n=2),
    "JSON": says("Give me a JSON object with a name.", WARM, response_format=ResponseFormat("json_object")),
    "a closed document": says(
        "Give me a long JSON object.", WARM, response_format=ResponseFormat("json_object"), max_tokens=6
    ),
    "a schema": says(
        "Who is Ada? Answer in JSON.", replace(WARM, logprobs=2), response_format=ResponseFormat("json_schema", PERSON)
    ),
    "a call": says(
        "What is the weather in Paris?", tools=WEATHER, tool_choice=ToolChoice("required", ("get_weather",)), n=2
    ),
    "a call or a text": says("Hello!", WARM, tools=WEATHER, tool_choice=ToolChoice("auto", ("get_weather",))),
    "a bias": says("Tell me a joke.", replace(WARM, logit_bias={40: 100.0, 50: -100.0}), max_tokens=4),
}


class RecordedGeneration:
    """Keeps the outputs of each choice."""

    def __init__(self, generation: Generation, outputs: dict[int, list[TokenOutput]]) -> None:
        self._generation = generation
        self._outputs = outputs

    async def outputs(self) -> list[tuple[int, TokenOutput]]:
        found = await self._generation.outputs()
        for choice, output in found:
            self._outputs[choice].append(output)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generation, name)


class RecordingEngine:
    """`outputs`: those of each choice of the last request."""

    def __init__(self, engine: EngineClient) -> None:
        self.outputs: dict[int, list[TokenOutput]] = {}
        self._engine = engine

    def require_room(self, choices: int) -> None:
        self._engine.require_room(choices)

    @contextmanager
    def generate(self, prompt: list[int], sampling: SamplingParams, **more: Any) -> Iterator[Any]:
        self.outputs = defaultdict(list)
        with self._engine.generate(prompt, sampling, **more) as generation:
            yield RecordedGeneration(generation, self.outputs)


@dataclass
class ReplayingVLLM(StubVLLM):
    """Its plugin and its model choose the tokens of `outputs`."""

    outputs: dict[int, list[TokenOutput]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.script = self._replay

    def _replay(self, row: RowRequest) -> list[int]:
        outputs = self.outputs[row.choice]
        tokens = [output.token for output in outputs if output.token != NO_TOKEN]
        match outputs[-1].finish:
            case "complete":
                return tokens + ending_tokens(row, COMPLETE_MARKS)
            case "length" if outputs[-1].token == NO_TOKEN:
                return tokens + ending_tokens(row, CLOSED_MARKS)
            case None:
                # Oru'el ended the answer at a stop string, but the model goes on.
                return tokens + [65] * 20
        return tokens

    def sampled(self, body: dict[str, Any], place: int, token: int) -> dict[str, Any]:
        outputs = self.outputs[message_of(body).choice]
        if place >= len(outputs) or outputs[place].logprob is None:
            return StubVLLM.sampled(self, body, place, token)
        own, *best = [(token, outputs[place].logprob), *outputs[place].alternatives]
        shown = [{"token_id": one, "logprob": logprob, "rank": 1} for one, logprob in (own, *best)]
        return {**shown[0], "top_logprobs": shown}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demo(tmp_path_factory.mktemp("hugging-face") / "demo")


def local(engine: TokenEngine, tokenizer: Tokenizer) -> LocalBackend:
    jobs = InProcessJobs({"demo": tokenizer})
    return LocalBackend(engine, tokenizer, jobs, tokenizer_name="demo", window=ContextWindow("m", CONTEXT))


@asynccontextmanager
async def embedded() -> AsyncIterator[tuple[LocalBackend, RecordingEngine]]:
    engine = EngineClient(Start(model=str(bundled_model()), threads=1, parallel=4, context=CONTEXT))
    with Model(bundled_model(), vocabulary_only=True) as model:
        try:
            await engine.start()
            recording = RecordingEngine(engine)
            yield local(recording, Tokenizer(model.vocabulary, model.chat_template)), recording
        finally:
            await engine.close()


@asynccontextmanager
async def vllm(folder: Path) -> AsyncIterator[tuple[LocalBackend, ReplayingVLLM]]:
    model = ModelFolder(folder)
    stub = ReplayingVLLM(reply=stub_of(folder).reply)
    async with serve_stub(stub), upstream_client() as session:
        engine = VLLMEngine(TokenServer(session, stub.root, None, UpstreamTimeouts()), model.vocabulary, model="demo")
        await engine.start()
        try:
            yield local(engine, Tokenizer(model.vocabulary, model.chat_template)), stub
        finally:
            await engine.close()


async def answer(backend: LocalBackend, request: ChatRequest) -> tuple[list[Any], Any]:
    """Each choice as an unstreamed answer has it, and the usage."""
    deltas = await deltas_of(backend.stream(request))
    choices = [[delta for delta in deltas if delta.choice == number] for number in range(request.n)]
    return [
        without_call_ids(answer_choice(number, choice, request.sampling)) for number, choice in enumerate(choices)
    ], deltas[-1].usage


def endless(folder: Path) -> ChatRequest:
    vocabulary = ModelFolder(folder).vocabulary
    ends = {token: -100.0 for token in range(vocabulary.size) if vocabulary.is_end(token)}
    return says("Tell me a joke.", replace(WARM, logit_bias=ends), max_tokens=None)


def without_call_ids(choice: Any) -> Any:
    """The ids of calls are random."""
    for call in choice.message.tool_calls or ():
        call.id = ""
    return choice


def test_the_same_tokens_are_the_same_answer_from_both_engines(folder: Path) -> None:
    async def scenario() -> None:
        async with embedded() as (own, recording), vllm(folder) as (far, stub):
            for name, request in {**REQUESTS, "the whole window": endless(folder)}.items():
                choices, usage = await answer(own, request)
                stub.outputs, stub.cached = recording.outputs, usage.cached_tokens
                assert await answer(far, request) == (choices, usage), name
                finishes[name] = {choice.finish_reason for choice in choices}

    finishes: dict[str, set[str]] = {}
    asyncio.run(scenario())
    assert finishes["the whole window"] == {"length"}
    assert finishes["stops"] == {"stop"}
    assert finishes["a call"] == {"tool_calls"}
    assert finishes["a limit"] == {"length"}
