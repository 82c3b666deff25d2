"""A loopback vLLM 0.32 with its token API, whose plugin answers with scripted tokens. The shapes of its answers were
recorded from a real one.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from oruel.engine.vllm.wire import (
    CheckRequest,
    HelloReply,
    HelloRequest,
    RowRequest,
    check_tokens,
    from_extra_args,
    hello_tokens,
    vocabulary_digest,
)
from tests.engine.vllm.small_vocabulary import SmallVocabulary

VOCABULARY = SmallVocabulary()
REPLY = HelloReply(
    plugin="0.1.0",
    vllm="0.32.0",
    model="demo",
    vocabulary_size=VOCABULARY.size,
    tokenizer=vocabulary_digest(VOCABULARY),
    window=4096,
    parallel=8,
    max_logprobs=21,
    runner="v1",
    priority_scheduling=True,
    prefix_caching=True,
)
SCALE_OUT = "Scale-out endpoints are disabled. Restart vllm serve with --enable-scale-out to enable them."

Script = Callable[[RowRequest], Sequence[int]]


@dataclass
class StubVLLM:
    """`script` gives the tokens that the plugin and the model choose for a row; vLLM's stops and limits then apply.
    `raw` replaces the stream of a row by these bytes. `refuse` is a status and a body for every request of the token
    API. `pace` is the seconds between two tokens. `held` keeps rows from starting until it is set.
    """

    version: str = "0.32.0+cpu"
    names: Sequence[str] = ("demo",)
    reply: HelloReply = REPLY
    has_plugin: bool = True
    script: Script = lambda row: [65, 66, 256]
    raw: bytes | None = None
    refuse: tuple[int, str] | None = None
    cached: int | None = 1
    pace: float = 0.0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    left: int = 0
    port: int = 0
    aborted: dict[str, asyncio.Event] = field(default_factory=dict)

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The bodies of rows, without those of the handshake."""
        return [body for body in self.bodies if isinstance(message_of(body), RowRequest)]

    async def tell_version(self, request: web.Request) -> web.Response:
        return web.json_response({"version": self.version})

    async def tell_models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": name, "object": "model"} for name in self.names]})

    async def abort(self, request: web.Request) -> web.Response:
        for name in (await request.json())["request_ids"]:
            if name in self.aborted:
                self.aborted[name].set()
        return web.Response()

    async def generate(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        self.keys.add(request.headers.get("authorization"))
        if self.refuse:
            return web.Response(status=self.refuse[0], text=self.refuse[1], content_type="application/json")
        if body["model"] not in self.names:
            return web.json_response({"error": {"message": "The model does not exist.", "code": 404}}, status=404)
        response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        try:
            if self.raw is not None and isinstance(message_of(body), RowRequest):
                await response.write(self.raw)
                assert request.transport
                request.transport.close()
                return response
            await self._stream(body, response)
        except ConnectionError:
            self.left += 1
        return response

    async def _stream(self, body: dict[str, Any], response: web.StreamResponse) -> None:
        name = f"generate-tokens-{body['request_id']}"
        self.aborted[name] = asyncio.Event()
        tokens, finish = limited(self._tokens(body), body["sampling_params"])
        for place, token in enumerate(tokens):
            last = place == len(tokens) - 1
            await response.write(event(self._piece(body, [token], finish if last else None, place)))
            await asyncio.sleep(self.pace)
            if self.aborted[name].is_set():
                await response.write(event(self._piece(body, [], "abort")))
                break
        details = {} if self.cached is None else {"prompt_tokens_details": {"cached_tokens": self.cached}}
        await response.write(event({"choices": [], "usage": {"prompt_tokens": 1, **details}}))
        await response.write(b"data: [DONE]\n\n")

    def _tokens(self, body: dict[str, Any]) -> Sequence[int]:
        message = message_of(body) if self.has_plugin else None
        match message:
            case HelloRequest():
                return hello_tokens(self.reply)
            case CheckRequest():
                return check_tokens(self.reply.fingerprint, message.nonce, self.reply.vocabulary_size)
            case RowRequest():
                return self.script(message)
        return [66] * 2000

    def _piece(self, body: dict[str, Any], tokens: list[int], finish: str | None, place: int = 0) -> dict[str, Any]:
        wanted = body["sampling_params"].get("logprobs")
        logprobs = None if wanted is None else {"content": [self.sampled(body, place, token) for token in tokens]}
        choice = {"index": 0, "finish_reason": finish, "stop_reason": None, "token_ids": tokens, "logprobs": logprobs}
        return {"request_id": body["request_id"], "usage": None, "output_mode": "tokens", "choices": [choice]}

    def sampled(self, body: dict[str, Any], place: int, token: int) -> dict[str, Any]:
        """The sampled token, then the most probable ones, cut to as many as were asked for, as vLLM does it."""
        wanted = body["sampling_params"]["logprobs"]
        best = [{"token_id": 90 + rank, "logprob": -1.0 - rank, "rank": rank + 1} for rank in range(wanted)]
        own = {"token_id": token, "logprob": -9.5, "rank": 40}
        return {**own, "top_logprobs": [own, *best][: max(wanted, 1)]}


def message_of(body: dict[str, Any]) -> Any:
    return from_extra_args(body["sampling_params"].get("extra_args"))


def limited(tokens: Sequence[int], sampling: dict[str, Any]) -> tuple[list[int], str]:
    """What vLLM lets pass, and why it stopped."""
    given: list[int] = []
    for token in tokens:
        given.append(token)
        if token in sampling.get("stop_token_ids", ()):
            return given, "stop"
        if len(given) == sampling["max_tokens"]:
            break
    return given, "length"


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


@asynccontextmanager
async def serve_stub(stub: StubVLLM) -> AsyncIterator[StubVLLM]:
    app = web.Application()
    app.router.add_get("/version", stub.tell_version)
    app.router.add_get("/v1/models", stub.tell_models)
    app.router.add_post("/inference/v1/generate", stub.generate)
    app.router.add_post("/inference/v1/abort_requests", stub.abort)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", stub.port)
    await site.start()
    stub.port = runner.addresses[0][1]
    try:
        yield stub
    finally:
        await runner.cleanup()
