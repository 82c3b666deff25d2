"""Planted defects for the checks of form that no other module plants one for."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from random import Random
from typing import Any

from oruel.api.chat.body import ChatCall
from oruel.errors import OruelError
from oruel.types import ChatRequest
from tests.verify.faults_bodies import BodyReader
from tests.verify.planted import planted
from tests.verify.toy_choice import Json, Piece, Plan, StopReader
from tests.verify.toy_model import Prompt, encode
from tests.verify.toy_server import Gone, Receive, Send, ToyServer, start


@planted("unknown.misspelt", "temprature, max_token, topP, frequency_penality: dropped in silence")
class MisspellingsDropped(BodyReader):
    """Most servers."""

    def changed(self, body: Json) -> Json:
        misspelt = ("temprature", "max_token", "topP", "frequency_penality")
        return {name: value for name, value in body.items() if name not in misspelt}


@planted("unknown.misspelt", "doesn't suggest max_tokens")
class NothingSuggested(ToyServer):
    def refusal(self, error: OruelError) -> Json:
        return super().refusal(error) | {"message": f"{error.param} is not a known field."}


@planted("unknown.nested", "ignored: include_usages: dropped in silence")
class NestedFieldsDropped(BodyReader):
    def changed(self, body: Json) -> Json:
        options = body.get("stream_options") or {}
        return {**body, "stream_options": {"include_usage": options.get("include_usage", False)}} if options else body


@planted("top_k.range", "refused: 0: status 400")
class ZeroTopKRefused(ToyServer):
    """SGLang and vLLM refuse top_p 0, SGLang also top_k 0."""

    def read(self, body: Any) -> ChatCall:
        return super().read({**body, "top_k": -1} if body.get("top_k") == 0 else body)


@planted("n.types", "true: ")
class BooleansAsNumbers(BodyReader):
    """Python counts True as an integer."""

    def changed(self, body: Json) -> Json:
        return {name: int(value) if value is True and name == "n" else value for name, value in body.items()}


@planted("max_tokens.context_edge", "cut before the context is full")
class ContextCutShort(ToyServer):
    """Four places of the context are never used."""

    def limit(self, request: ChatRequest, prompt: Prompt) -> int:
        room = super().limit(replace(request, max_tokens=None), prompt) - 4
        return max(1, min(super().limit(request, prompt), room))


@planted("stop.usage", "usage counts more tokens than were generated")
class StepsAheadCounted(ToyServer):
    """Counts tokens that were computed ahead of the stop text."""

    def reply(self, request: ChatRequest, prompt: Prompt, choices: list[list[Piece]]) -> Json:
        reply = super().reply(request, prompt, choices)
        ahead = 3 if request.stop and choices[0][-1].finish == "stop" else 0
        return reply | {"usage": self.usage(prompt, sum(map(len, choices)) + ahead)}


class AsciiReader(StopReader):
    def __init__(self, stops: Any) -> None:
        super().__init__([stop for stop in stops if stop.isascii()])


@planted("stop.multi_byte", "ignored")
class NonAsciiStopsLost(ToyServer):
    stop_reader = AsciiReader


class ShortReader(StopReader):
    def __init__(self, stops: Any) -> None:
        super().__init__([stop for stop in stops if len(stop) < 200])


@planted("stop.long", "ignored")
class LongStopsMissed(ToyServer):
    """TGI looks for stop sequences in the last 200 to 300 characters."""

    stop_reader = ShortReader


@planted("stream.errors", "an error before the first token comes with status 200")
class ErrorsInTheStream(ToyServer):
    """llama.cpp before #16109, and servers that send headers before they read the body."""

    async def chat(self, raw: bytes, receive: Receive, send: Send) -> None:
        try:
            await super().chat(raw, receive, send)
        except OruelError as error:
            if not json.loads(raw).get("stream"):
                raise
            await start(send, 200, "text/event-stream")
            event = f"data: {json.dumps({'error': self.refusal(error)})}\n\ndata: [DONE]\n\n"
            await send({"type": "http.response.body", "body": event.encode()})


@planted("stream.usage", "the chunk with the usage has choices")
class UsageWithChoices(ToyServer):
    async def chunks(self, call: ChatCall, request: ChatRequest, prompt: Prompt, gone: Gone) -> AsyncIterator[Json]:
        async for chunk in super().chunks(call, request, prompt, gone):
            yield chunk if chunk["choices"] else chunk | {"choices": [{"index": 0, "delta": {}}]}


@planted("stream.done", "an event follows data: [DONE]")
class EventAfterDone(ToyServer):
    async def events(self, call: ChatCall, request: ChatRequest, prompt: Prompt, gone: Gone) -> AsyncIterator[str]:
        async for event in super().events(call, request, prompt, gone):
            yield event
        yield "{}"


@planted("stream.role", "the first chunk doesn't carry the role")
class RoleLate(ToyServer):
    async def chunks(self, call: ChatCall, request: ChatRequest, prompt: Prompt, gone: Gone) -> AsyncIterator[Json]:
        yield {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": None}]}
        async for chunk in super().chunks(call, request, prompt, gone):
            yield chunk


@planted("usage.prompt_growth", "prompt_tokens doesn't grow with the prompt")
class PromptCountedAsMessages(ToyServer):
    def usage(self, prompt: Prompt, completion_tokens: int) -> Json:
        return super().usage(replace(prompt, ids=prompt.ids[:4]), completion_tokens)


@planted("usage.n", "n changes prompt_tokens")
class PromptCountedForEachChoice(ToyServer):
    def reply(self, request: ChatRequest, prompt: Prompt, choices: list[list[Piece]]) -> Json:
        reply = super().reply(request, prompt, choices)
        return reply | {"usage": self.usage(replace(prompt, ids=prompt.ids * request.n), sum(map(len, choices)))}


@planted("usage.cached", "tokens of a new prompt count as cached")
class EverythingCached(ToyServer):
    def usage(self, prompt: Prompt, completion_tokens: int) -> Json:
        cached = {"cached_tokens": len(prompt.ids)}
        return super().usage(prompt, completion_tokens) | {"prompt_tokens_details": cached}


@planted("tools.stream", "the name is sent more than once")
class NameRepeated(ToyServer):
    def delta(self, piece: Piece, is_first: bool) -> Json:
        delta = super().delta(piece, is_first)
        for call in delta.get("tool_calls", ()):
            call["function"].setdefault("name", "get_weather")
        return delta


@planted("tools.stream", "the call isn't streamed as tool_calls")
class CallsStreamedAsText(ToyServer):
    """ollama#17921 and others: the parser is left out of streams."""

    def delta(self, piece: Piece, is_first: bool) -> Json:
        text = "".join(call["function"]["arguments"] for call in piece.calls)
        return super().delta(replace(piece, calls=[], text=piece.text + text), is_first)


@planted("response_format.json_schema_cut", "a document cut by max_tokens isn't closed")
class SchemaTruncated(ToyServer):
    """Every engine: a document is cut where max_tokens ends."""

    def document_plan(self, request: ChatRequest, random: Random, limit: int) -> Plan:
        if not request.response_format.schema:
            return super().document_plan(request, random, limit)
        return Plan(encode(json.dumps({"a": "word " * random.randint(1, 40)})), "stop")


@planted("service_tier", "an unknown tier is accepted")
class AnyServiceTierAccepted(BodyReader):
    """vLLM ignores service_tier."""

    def changed(self, body: Json) -> Json:
        return {name: value for name, value in body.items() if name != "service_tier"}


@planted("n", "the indices of the choices aren't 0 to n − 1")
class AllChoicesAreTheFirst(ToyServer):
    def choice(self, request: ChatRequest, index: int, pieces: list[Piece]) -> Json:
        return super().choice(request, index, pieces) | {"index": 0}
