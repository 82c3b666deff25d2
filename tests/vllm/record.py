"""Records the answers of a real vLLM that tests/engine/vllm/test_recorded.py plays. Takes two minutes."""

import argparse
import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from oruel.constraints.spec import ConstraintSpec, JsonObjectSpec, SchemaSpec
from oruel.engine.vllm.row_body import hello_body, row_body
from oruel.engine.vllm.token_server import TokenServer
from oruel.engine.vllm.wire import HelloReply, RowRequest, SilentTokens, choose_mark, read_hello
from oruel.http.exchange import DEFAULT_TIMEOUTS, upstream_client
from oruel.hugging_face.folder import ModelFolder
from oruel.text.tokenizer import Tokenizer
from oruel.types import Message, SamplingParams
from oruel.vocabulary.base import Vocabulary
from tests.engine.vllm.recording import Recording
from tests.vllm.serve import demo_folder
from tests.vllm.vllm_process import MODEL, VLLMProcess, vllm_serve

GENERATE = "/inference/v1/generate"
SEED = 7
ENUM = '{"type": "object", "properties": {"a": {"enum": ["b"]}}, "required": ["a"], "additionalProperties": false}'
UNSATISFIABLE = '{"type": "string", "pattern": "("}'


@dataclass(frozen=True)
class Recorder:
    """`client` sends to one vLLM, which said `hello` of itself."""

    client: httpx2.AsyncClient
    vocabulary: Vocabulary
    tokenizer: Tokenizer
    hello: HelloReply

    def body(
        self, question: str, max_tokens: int, *, name: str = "row", choice: int = 0,
        constraint: ConstraintSpec | None = None, **sampling: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """The body of a row, as Oru'el sends it."""
        prompt = self.tokenizer.encode_messages([Message("user", question)], {})
        vocabulary = self.vocabulary
        mark = choose_mark(SilentTokens.of(vocabulary), self.hello.vocabulary_size, ())
        assert mark is not None
        row = RowRequest(
            engine=self.hello.fingerprint,
            choice=choice,
            sampling=SamplingParams(0.7, seed=SEED, **sampling),
            constraint=constraint,
            end_tokens=[token for token in range(vocabulary.size) if vocabulary.is_end(token)],
            mark=mark,
            max_tokens=max_tokens,
            prompt_tokens=len(prompt),
        )
        return row_body(row, prompt, model=MODEL, request_id=name, cache_salt="", priority=None)

    def endless(self, name: str) -> dict[str, Any]:
        """The body of a row of 1,000 tokens."""
        ends = {token: -100.0 for token in range(self.vocabulary.size) if self.vocabulary.is_end(token)}
        return self.body("Write a long essay about space.", 1000, name=name, logit_bias=ends)

    async def record(self, name: str, body: Mapping[str, Any], begun: asyncio.Event | None = None) -> None:
        recording = await fetch(self.client, "POST", GENERATE, body, begun)
        recording.write(name)
        print(f"{name}: {recording.status}, {len(recording.body)} bytes")


async def fetch(
    client: httpx2.AsyncClient, method: str, path: str, body: Any = None, begun: asyncio.Event | None = None
) -> Recording:
    """What arrives until the connection closes, even if that is in the middle. Sets `begun` at its first bytes."""
    async with client.stream(method, path, json=body) as response:
        data = bytearray()
        with contextlib.suppress(httpx2.RemoteProtocolError):
            async for piece in response.aiter_raw():
                data += piece
                if begun:
                    begun.set()
        return Recording(response.status_code, response.headers.get("content-type", ""), bytes(data))


@asynccontextmanager
async def client_of(vllm: VLLMProcess) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=vllm.root, timeout=60) as client:
        yield client


async def record_served(vllm: VLLMProcess, model: Path) -> None:
    async with client_of(vllm) as client:
        (await fetch(client, "GET", "/version")).write("version")
        models = await fetch(client, "GET", "/v1/models")
        # Without the path of the machine that recorded it.
        replace(models, body=models.body.replace(str(model).encode(), model.name.encode())).write("models")
        answer = await fetch(client, "POST", GENERATE, hello_body(MODEL, "hello"))
        answer.write("hello")
        folder = ModelFolder(model)
        hello = read_hello(tokens_of(answer))
        recorder = Recorder(client, folder.vocabulary, Tokenizer(folder.vocabulary, folder.chat_template), hello)
        await record_rows(recorder)
        await record_refusals(recorder)
        await record_abort(recorder)
        await record_full(recorder)
        await record_death(recorder, vllm)


def tokens_of(recording: Recording) -> list[int]:
    """The tokens of the stream, read without Oru'el's code."""
    events = [line.removeprefix(b"data: ") for line in recording.body.splitlines() if line.startswith(b"data: {")]
    return [token for event in map(json.loads, events) for one in event["choices"] for token in one["token_ids"]]


async def record_rows(recorder: Recorder) -> None:
    greeting, wish = "Hello!", "Describe a person as JSON."
    await recorder.record("plain", recorder.body("What is the capital of France?", 40))
    await recorder.record("cut", recorder.body(greeting, 3))
    for choice in (0, 1):
        await recorder.record(f"choice-{choice}", recorder.body("Tell me a joke", 8, choice=choice))
    await recorder.record("logprobs", recorder.body(greeting, 4, logprobs=2))
    await recorder.record("only-own-logprob", recorder.body(greeting, 4, logprobs=0))
    await recorder.record("complete", recorder.body(wish, 40, constraint=SchemaSpec(ENUM)))
    await recorder.record("closed", recorder.body(wish, 12, constraint=JsonObjectSpec()))
    await recorder.record("unenforceable", recorder.body(wish, 12, constraint=SchemaSpec(UNSATISFIABLE)))
    changed = replace(recorder, hello=msgspec.structs.replace(recorder.hello, plugin="0"))
    await recorder.record("replaced", changed.body(greeting, 12))


async def record_refusals(recorder: Recorder) -> None:
    body = recorder.body("Hello!", 4)
    await recorder.record("unknown-model", body | {"model": "other"})
    await recorder.record("too-long", body | {"token_ids": [300] * 5000})
    await recorder.record("own-sampling", body | {"sampling_params": body["sampling_params"] | {"temperature": 1}})


async def record_abort(recorder: Recorder) -> None:
    """Aborted after its first tokens, as when a choice is cancelled."""
    begun = asyncio.Event()
    running = asyncio.create_task(recorder.record("aborted", recorder.endless("aborted"), begun))
    await begun.wait()
    async with upstream_client() as session:
        await TokenServer(session, str(recorder.client.base_url), None, DEFAULT_TIMEOUTS).abort("aborted")
    await running


async def record_full(recorder: Recorder) -> None:
    """More requests than vLLM's queue takes."""
    bodies = [recorder.endless(f"busy-{number}") for number in range(4)]
    busy = [asyncio.create_task(fetch(recorder.client, "POST", GENERATE, body)) for body in bodies]
    await asyncio.sleep(0.5)
    await recorder.record("full", recorder.body("Hello!", 4))
    for task in busy:
        task.cancel()
    await asyncio.gather(*busy, return_exceptions=True)
    # vLLM notices a closed connection when it sends the next token.
    await asyncio.sleep(1)


async def record_death(recorder: Recorder, vllm: VLLMProcess) -> None:
    """The engine's process is killed in the middle of an answer."""
    begun = asyncio.Event()
    running = asyncio.create_task(recorder.record("died", recorder.endless("died"), begun))
    await begun.wait()
    vllm.kill_engine()
    await running


async def record_closed(vllm: VLLMProcess) -> None:
    async with client_of(vllm) as client:
        (await fetch(client, "POST", GENERATE, hello_body(MODEL, "hello"))).write("forbidden")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environment", type=Path, required=True, help="vLLM's virtual environment")
    environment: Path = parser.parse_args().environment.absolute()
    model = demo_folder(environment)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "vllm.log"
        with vllm_serve(environment, model, log, ["--max-num-seqs=2", "--max-num-queued-reqs=1"]) as vllm:
            asyncio.run(record_served(vllm, model))
        with vllm_serve(environment, model, log, ["--no-enable-scale-out"]) as vllm:
            asyncio.run(record_closed(vllm))


if __name__ == "__main__":
    main()
