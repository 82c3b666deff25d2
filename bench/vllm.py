"""A real vLLM with the plugin: our sampling against its own, and Oru'el in front of it against a direct client of its
token API. Needs the environment that `make vllm` installs.
"""

import asyncio
import os
import random
import subprocess
import tempfile
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.load import Reply, chat, encode_request, exchange
from bench.rounds import measure_all_in_turn
from bench.row import Row
from bench.servers import ServerProcess
from bench.usage import read_usage
from oruel.engine.vllm.row_body import hello_body, row_body
from oruel.engine.vllm.token_server import TokenServer
from oruel.engine.vllm.wire import HelloReply, RowRequest, SilentTokens, choose_mark, read_hello
from oruel.http.exchange import DEFAULT_TIMEOUTS, upstream_client
from oruel.hugging_face.folder import ModelFolder
from oruel.text.tokenizer import Tokenizer
from oruel.types import Message, SamplingParams
from oruel.vocabulary.base import Vocabulary
from tests.server import oruel_serve
from tests.vllm.serve import demo_folder
from tests.vllm.vllm_process import MODEL, vllm_serve

ROOT = Path(__file__).parents[1]
GENERATE = "/inference/v1/generate"
STREAMS = (1, 8, 32)
PROMPT, ANSWER = 64, 128
TARGET = 0.9
SETTINGS: dict[str, dict[str, Any]] = {
    "temperature": {"temperature": 0.7},
    "all parameters": {
        "temperature": 0.7,
        "top_k": 50,
        "top_p": 0.9,
        "min_p": 0.05,
        "repetition_penalty": 1.1,
        "frequency_penalty": 0.3,
        "presence_penalty": 0.2,
    },
}
CATALOG = """
[[models]]
name = "bench"
[[models.deployments]]
name = "vllm"
engine = "vllm"
base_url = "http://127.0.0.1:{port}/v1"
model = "{model}"
tokenizer = "{tokenizer}"
"""


def rows(rounds: int) -> Iterator[Row]:
    environment = Path(os.environ.get("TEST_VLLM", ROOT / ".venv-vllm")).absolute()
    if not (environment / "plugin.done").exists():
        print(f"vllm: skipped, since {environment} has no vLLM with the plugin; `make vllm` installs it", flush=True)
        return
    model = demo_folder(environment)
    with vllm_server(environment, model) as vllm:
        load = asyncio.run(prepare(vllm.port, model))
        for streams in STREAMS:
            for setting, params in SETTINGS.items():
                yield from compare_sampling(vllm, load, streams, setting, params, rounds)
        yield compare_front(vllm, load, model, rounds)
    command = [f"{environment}/bin/python", "-m", "bench.torch_sampling"]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT}/src:{ROOT}/vllm_plugin"})


@contextmanager
def vllm_server(environment: Path, model: Path) -> Iterator[ServerProcess]:
    with tempfile.TemporaryDirectory() as folder, vllm_serve(environment, model, Path(folder) / "log") as running:
        yield ServerProcess("vllm", int(running.root.rpartition(":")[2]), running.process.pid)


async def prepare(port: int, model: Path) -> "TokenLoad":
    folder = ModelFolder(model)
    async with upstream_client() as session:
        server = TokenServer(session, f"http://127.0.0.1:{port}", None, DEFAULT_TIMEOUTS)
        chunks = [chunk async for chunk in server.generate(hello_body(MODEL, "hello"))]
    tokens = [token for chunk in chunks for piece in chunk.choices for token in piece.token_ids or []]
    return TokenLoad(folder.vocabulary, Tokenizer(folder.vocabulary, folder.chat_template), read_hello(tokens))


@dataclass(frozen=True)
class TokenLoad:
    """Bodies of requests for ANSWER tokens, which nothing ends before."""

    vocabulary: Vocabulary
    tokenizer: Tokenizer
    hello: HelloReply

    def prompt(self, seed: int) -> list[int]:
        chooser = random.Random(seed)
        return chooser.choices(range(300, self.vocabulary.size - 100), k=PROMPT)

    def ours(self, prompt: Sequence[int], name: str, params: dict[str, Any]) -> dict[str, Any]:
        mark = choose_mark(SilentTokens.of(self.vocabulary), self.hello.vocabulary_size, params.get("logit_bias", ()))
        assert mark is not None
        row = RowRequest(
            engine=self.hello.fingerprint,
            choice=0,
            sampling=SamplingParams(**params),
            end_tokens=[],
            mark=mark,
            max_tokens=ANSWER,
            prompt_tokens=len(prompt),
        )
        return row_body(row, prompt, model=MODEL, request_id=name, cache_salt="", priority=0)

    def theirs(self, prompt: Sequence[int], name: str, params: dict[str, Any]) -> dict[str, Any]:
        """Without a seed, which vLLM would pay for."""
        body = self.ours(prompt, name, params)
        sampling = {**body["sampling_params"], **params}
        return {**body, "sampling_params": {name: value for name, value in sampling.items() if name != "extra_args"}}

    @property
    def bans(self) -> dict[int, float]:
        """Bias that excludes the end tokens."""
        vocabulary = self.vocabulary
        return {token: -100.0 for token in range(vocabulary.size) if vocabulary.is_end(token)}


def compare_sampling(
    vllm: ServerProcess, load: TokenLoad, streams: int, setting: str, params: dict[str, Any], rounds: int
) -> Iterator[Row]:
    """Both kinds of requests go to the same vLLM, in turn. Its CPU time depends less on what else runs here."""

    def measure(side: ServerProcess, round_: int) -> tuple[float, float]:
        make = load.ours if side.name == "ours" else load.theirs
        prompts = enumerate(load.prompt(1000 * round_ + stream) for stream in range(streams))
        bodies = [make(prompt, f"{side.name}-{round_}-{stream}", params) for stream, prompt in prompts]
        before = read_usage(vllm.pid).cpu_seconds
        reached = asyncio.run(speed(generate(vllm.port, body) for body in bodies))
        return reached, 1000 * (read_usage(vllm.pid).cpu_seconds - before) / (streams * ANSWER)

    sides = [ServerProcess(name, vllm.port, vllm.pid) for name in ("ours", "theirs")]
    measured = measure_all_in_turn(sides, rounds, measure)
    (speeds, costs), (their_speeds, their_costs) = (zip(*measured[name], strict=True) for name in ("ours", "theirs"))
    name = f"vLLM, {streams} streams, {setting}: our sampling against its own"
    yield Row(name, "tokens/s", speeds, their_speeds, True, TARGET)
    yield Row(f"{name}, CPU per 1,000 tokens", "s", costs, their_costs)


def compare_front(vllm: ServerProcess, load: TokenLoad, model: Path, rounds: int) -> Row:
    """The same prompts and parameters as chats to Oru'el, and as token requests to vLLM."""
    streams = STREAMS[-1]
    params = {"temperature": 0.7, "logit_bias": load.bans}
    with oruel_front(vllm, model) as front:

        def measure(side: ServerProcess, round_: int) -> float:
            texts = [
                f"Write an essay about {random.Random(1000 * round_ + stream).random()}." for stream in range(streams)
            ]
            if side is front:
                return asyncio.run(speed(chat(front.port, chat_body(text, params)) for text in texts))
            prompts = [load.tokenizer.encode_messages([Message("user", text)], {}) for text in texts]
            bodies = [load.ours(prompt, f"direct-{round_}-{stream}", params) for stream, prompt in enumerate(prompts)]
            return asyncio.run(speed(generate(vllm.port, body) for body in bodies))

        measured = measure_all_in_turn((front, vllm), rounds, measure)
    name = f"vLLM, {streams} streams: Oru'el in front of it against a direct client"
    return Row(name, "tokens/s", measured[front.name], measured[vllm.name], True, TARGET)


@contextmanager
def oruel_front(vllm: ServerProcess, model: Path) -> Iterator[ServerProcess]:
    with tempfile.TemporaryDirectory() as folder:
        catalog = Path(folder) / "catalog.toml"
        catalog.write_text(CATALOG.format(port=vllm.port, model=MODEL, tokenizer=model))
        with oruel_serve("--catalog", str(catalog)) as server:
            yield ServerProcess("oruel", int(server.url.rpartition(":")[2]), server.process.pid)


def chat_body(text: str, params: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": "bench",
        "messages": [{"role": "user", "content": text}],
        "max_tokens": ANSWER,
        "stream": True,
        "stream_options": {"include_usage": True},
        **params,
    }


async def generate(port: int, body: dict[str, Any]) -> Reply:
    return await exchange(port, encode_request(body, path=GENERATE))


async def speed(requests: Iterable[Awaitable[Reply]]) -> float:
    """Tokens per second of streams that start together."""
    replies = await asyncio.gather(*requests)
    if any(reply.tokens != ANSWER for reply in replies):
        raise RuntimeError(f"answers of {[reply.tokens for reply in replies]} tokens instead of {ANSWER}")
    return sum(reply.tokens for reply in replies) / max(reply.seconds for reply in replies)
