"""An honest chat completions endpoint over the toy model: an ASGI app that follows Oru'el's contract. It reads bodies
with the contract's declarations, and generates and answers with code of its own. Each planted defect (faults.py) is a
subclass that overrides one method.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import replace
from random import Random
from typing import Any, ClassVar

from oruel.api.body import parse_object
from oruel.api.chat.body import ChatCall, parse_chat
from oruel.api.tokenize import parse_tokenize
from oruel.errors import ContextLengthExceeded, NotFound, OruelError
from oruel.router.catalog import Catalog, ModelCard
from oruel.types import ChatRequest
from tests.verify.toy_choice import Json, Piece, ToyChoices
from tests.verify.toy_model import CONTEXT, CONTROLS, PIECES, SIZE, Prompt, encode, read_prompt

MODEL = "toy"
CATALOG = Catalog((ModelCard(MODEL, CONTEXT, SIZE, created=0),))
# So many requests are answered at the same time; others wait.
PLACES = 8

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Gone = asyncio.Future[None]
"""Done when the client is gone."""


class ToyServer(ToyChoices):
    """`entropy` makes the seeds of requests without one, so that a test can be repeated. `salt` makes other models.
    `in_streams` is the class that answers streams, if it is another one.
    """

    in_streams: ClassVar["type[ToyServer] | None"] = None

    def __init__(self, entropy: int = 0, salt: int = 0) -> None:
        super().__init__()
        self.salt = salt
        self.entropy = Random(entropy)
        self.places = asyncio.Semaphore(PLACES)
        self.tokens = 0
        self.streams = self.in_streams(entropy, salt) if self.in_streams else self

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "serve it with lifespan off"
        try:
            await self.route(scope, receive, send)
        except OruelError as error:
            await send_json(send, error.status, {"error": self.refusal(error)})

    async def route(self, scope: Message, receive: Receive, send: Send) -> None:
        raw = await read_body(receive)
        match scope["method"], scope["path"].removeprefix("/v1"):
            case "POST", "/chat/completions":
                await self.chat(raw, receive, send)
            case "POST", "/tokenize":
                await send_json(send, 200, tokenized(raw))
            case "GET", "/models":
                model = {"id": MODEL, "object": "model", "owned_by": "tests", "context_length": CONTEXT}
                await send_json(send, 200, {"object": "list", "data": [model]})
            case _:
                raise NotFound("There is no such endpoint.")

    def refusal(self, error: OruelError) -> Json:
        return {"message": error.message, "type": error.type, "param": error.param, "code": error.code}

    async def chat(self, raw: bytes, receive: Receive, send: Send) -> None:
        call = self.read(parse_object(raw))
        await (self.streams if call.stream else self).answer(call, receive, send)

    async def answer(self, call: ChatCall, receive: Receive, send: Send) -> None:
        request = self.adjusted(self.with_seed(call.request))
        prompt = read_prompt(request.messages, len(request.tools), self.salt)
        self.check_room(request, prompt)
        gone = asyncio.ensure_future(until_gone(receive))
        try:
            async with self.places:
                if call.stream:
                    await self.send_stream(call, request, prompt, gone, send)
                else:
                    await send_json(send, 200, self.reply(request, prompt, await self.collect(request, prompt, gone)))
        finally:
            gone.cancel()

    def seconds(self) -> float:
        """The toy's own time: each token takes a second, and nothing else takes any."""
        return self.tokens + (self.streams.tokens if self.streams is not self else 0)

    def check_room(self, request: ChatRequest, prompt: Prompt) -> None:
        """Raises ContextLengthExceeded."""
        if len(prompt.ids) >= CONTEXT:
            raise ContextLengthExceeded(
                f"The prompt has {len(prompt.ids)} tokens, but the context is {CONTEXT} tokens. Shorten the messages.",
                param="messages",
            )

    def read(self, body: Json) -> ChatCall:
        """Raises RequestError, whose `param` names the field."""
        return parse_chat(body, CATALOG)

    def with_seed(self, request: ChatRequest) -> ChatRequest:
        if request.sampling.reproducible:
            return request
        return replace(request, sampling=replace(request.sampling, seed=self.entropy.getrandbits(63)))

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        """The request as it is carried out."""
        return request

    def goes_on(self, gone: Gone) -> bool:
        return not gone.done()

    async def steps(self, request: ChatRequest, prompt: Prompt, gone: Gone) -> AsyncIterator[tuple[int, Piece]]:
        """The pieces with the index of their choice. All choices advance by one token at a time."""
        running = {choice: self.pieces(request, prompt, choice) for choice in range(request.n)}
        while running and self.goes_on(gone):
            for index, pieces in list(running.items()):
                piece = next(pieces)
                self.tokens += 1
                if piece.finish:
                    del running[index]
                yield index, piece
            if running:
                await asyncio.sleep(0)

    async def collect(self, request: ChatRequest, prompt: Prompt, gone: Gone) -> list[list[Piece]]:
        """The pieces of each choice. Those of a client that is gone are not complete."""
        choices: list[list[Piece]] = [[] for _ in range(request.n)]
        async for index, piece in self.steps(request, prompt, gone):
            choices[index].append(piece)
        return choices

    def reply(self, request: ChatRequest, prompt: Prompt, choices: list[list[Piece]]) -> Json:
        shown = [self.choice(request, index, pieces) for index, pieces in enumerate(choices)]
        usage = self.usage(prompt, sum(map(len, choices)))
        return {**self.head(request, "chat.completion"), "choices": shown, "usage": usage}

    def choice(self, request: ChatRequest, index: int, pieces: list[Piece]) -> Json:
        text = "".join(piece.text for piece in pieces)
        calls = joined_calls([call for piece in pieces for call in piece.calls])
        message = {"role": "assistant", "content": None if calls else text} | ({"tool_calls": calls} if calls else {})
        entries = [entry for piece in pieces for entry in piece.logprobs]
        logprobs = None if request.sampling.logprobs is None else {"content": entries}
        finish = pieces[-1].finish if pieces else None
        return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish}

    def usage(self, prompt: Prompt, completion_tokens: int) -> Json:
        count = len(prompt.ids)
        return {
            "prompt_tokens": count,
            "completion_tokens": completion_tokens,
            "total_tokens": count + completion_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
        }

    def head(self, request: ChatRequest, kind: str) -> Json:
        """The fields that answers and chunks share."""
        return {
            "id": request.id,
            "object": kind,
            "created": 0,
            "model": MODEL,
            "tier": request.tier,
            "system_fingerprint": "toy",
        }

    async def send_stream(self, call: ChatCall, request: ChatRequest, prompt: Prompt, gone: Gone, send: Send) -> None:
        await start(send, 200, "text/event-stream")
        async for event in self.events(call, request, prompt, gone):
            await send({"type": "http.response.body", "body": f"data: {event}\n\n".encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def events(self, call: ChatCall, request: ChatRequest, prompt: Prompt, gone: Gone) -> AsyncIterator[str]:
        async for chunk in self.chunks(call, request, prompt, gone):
            yield json.dumps({**self.head(request, "chat.completion.chunk"), **chunk})
        yield "[DONE]"

    async def chunks(self, call: ChatCall, request: ChatRequest, prompt: Prompt, gone: Gone) -> AsyncIterator[Json]:
        """What distinguishes the chunks: `choices`, and usage where it belongs."""
        no_usage = {"usage": None} if call.include_usage else {}
        tokens, unfinished, begun = 0, request.n, set[int]()
        async for index, piece in self.steps(request, prompt, gone):
            tokens += 1
            delta = self.delta(piece, is_first=index not in begun)
            begun.add(index)
            logprobs = {"content": piece.logprobs} if piece.logprobs else None
            shown = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": None}
            if delta or logprobs:
                yield {"choices": [shown], **no_usage}
            if piece.finish:
                unfinished -= 1
                usage = {} if unfinished or call.include_usage else {"usage": self.usage(prompt, tokens)}
                last = shown | {"delta": {}, "logprobs": None, "finish_reason": piece.finish}
                yield {"choices": [last], **no_usage, **usage}
        if call.include_usage and self.goes_on(gone):
            yield {"choices": [], "usage": self.usage(prompt, tokens)}

    def delta(self, piece: Piece, is_first: bool) -> Json:
        role = {"role": "assistant", "content": ""} if is_first else {}
        content = {"content": piece.text} if piece.text else {}
        return role | content | ({"tool_calls": piece.calls} if piece.calls else {})


def joined_calls(pieces: list[Json]) -> list[Json]:
    """Whole calls from the pieces of a stream."""
    calls: list[Json] = []
    for piece in pieces:
        if "id" in piece:
            calls.append({"id": piece["id"], "type": "function", "function": dict(piece["function"])})
        else:
            calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
    return calls


def tokenized(raw: bytes) -> Json:
    call = parse_tokenize(raw)
    ids = encode(call.text) if call.text is not None else read_prompt(call.messages or (), 0).ids
    return {"model": MODEL, "count": len(ids), "tokens": [token(id) for id in ids]}


def token(id: int) -> Json:
    piece = PIECES[id]
    return {"id": id, "text": piece.decode(errors="replace") if piece else CONTROLS[id], "bytes": list(piece)}


async def read_body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


async def until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_json(send: Send, status: int, body: Json) -> None:
    await start(send, status, "application/json")
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


async def start(send: Send, status: int, content_type: str) -> None:
    headers = [(b"content-type", content_type.encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
