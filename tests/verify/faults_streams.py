"""Planted defects of streams."""

import codecs
from collections.abc import AsyncIterator
from dataclasses import replace

from oruel.api.chat.body import ChatCall
from oruel.types import ChatRequest
from tests.verify.planted import planted
from tests.verify.toy_choice import Json, Piece
from tests.verify.toy_model import Prompt
from tests.verify.toy_server import Gone, ToyServer


@planted("stream.done", "data: [DONE] is missing")
class DoneMissing(ToyServer):
    async def events(self, call: ChatCall, request: ChatRequest, prompt: Prompt, gone: Gone) -> AsyncIterator[str]:
        async for event in super().events(call, request, prompt, gone):
            if event != "[DONE]":
                yield event


@planted("stream.finish", "text follows finish_reason")
class LateChunk(ToyServer):
    """A chunk with text comes after the finish reason."""

    async def chunks(self, call: ChatCall, request: ChatRequest, prompt: Prompt, gone: Gone) -> AsyncIterator[Json]:
        async for chunk in super().chunks(call, request, prompt, gone):
            yield chunk
            if chunk["choices"] and chunk["choices"][0]["finish_reason"]:
                yield {"choices": [{"index": 0, "delta": {"content": "."}, "logprobs": None, "finish_reason": None}]}


@planted("stream.finish", "finish_reason is sent more than once")
class FinishTwice(ToyServer):
    async def chunks(self, call: ChatCall, request: ChatRequest, prompt: Prompt, gone: Gone) -> AsyncIterator[Json]:
        async for chunk in super().chunks(call, request, prompt, gone):
            yield chunk
            if chunk["choices"] and chunk["choices"][0]["finish_reason"]:
                yield chunk


@planted("stream.usage", "there is no usage")
class StreamUsageMissing(ToyServer):
    """include_usage has no effect."""

    async def chunks(self, call: ChatCall, request: ChatRequest, prompt: Prompt, gone: Gone) -> AsyncIterator[Json]:
        async for chunk in super().chunks(call, request, prompt, gone):
            if chunk["choices"]:
                yield chunk


@planted("stream.role", "no chunk carries the role")
class RoleMissing(ToyServer):
    def delta(self, piece: Piece, is_first: bool) -> Json:
        delta = super().delta(piece, is_first)
        delta.pop("role", None)
        return delta


class BytewiseDecoder(codecs.IncrementalDecoder):
    def decode(self, text: bytes, final: bool = False) -> str:  # type: ignore[override]
        return text.decode(errors="replace")


class BytewiseStreams(ToyServer):
    def decoder(self) -> codecs.IncrementalDecoder:
        return BytewiseDecoder()


@planted("stream.utf8", "characters are broken between chunks")
class CharactersSplit(ToyServer):
    """Each token is decoded alone, so that a character that is split over tokens becomes U+FFFD."""

    in_streams = BytewiseStreams


class TrimmingStreams(ToyServer):
    def delta(self, piece: Piece, is_first: bool) -> Json:
        piece.text = piece.text.lstrip(" ")
        return super().delta(piece, is_first)


@planted("stream", "white space differs from the text unstreamed")
class SpacesLostInStreams(ToyServer):
    """SentencePiece tokens decoded one at a time lose the space that they begin with."""

    in_streams = TrimmingStreams


class OneEnd(ToyServer):
    """The first choice alone gets its finish_reason: LiteLLM's proxy, in front of a server with n."""

    async def chunks(self, call: ChatCall, request: ChatRequest, prompt: Prompt, gone: Gone) -> AsyncIterator[Json]:
        async for chunk in super().chunks(call, request, prompt, gone):
            if not any(choice["index"] and choice["finish_reason"] for choice in chunk["choices"]):
                yield chunk


@planted("n.stream", "not every choice has a finish_reason in a stream")
class ChoicesWithoutEnd(OneEnd):
    pass


@planted("stream.finish", "choice 1 of 2: no chunk carries a finish_reason")
class StreamWithoutEnd(OneEnd):
    pass


class SingleChoiceStreams(ToyServer):
    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return replace(request, n=1)


@planted("n.stream", "ignored: there is a single choice in a stream")
class ChoicesIgnoredInStreams(ToyServer):
    in_streams = SingleChoiceStreams


@planted("stream.usage", "completion_tokens differs from the same request unstreamed")
class StreamUsageCountsChunks(ToyServer):
    """Counts chunks with text, of which there are fewer than tokens, and the one with the role."""

    async def chunks(self, call: ChatCall, request: ChatRequest, prompt: Prompt, gone: Gone) -> AsyncIterator[Json]:
        count = 1
        async for chunk in super().chunks(call, request, prompt, gone):
            count += 1
            yield chunk if chunk["choices"] else {"choices": [], "usage": self.usage(prompt, count)}
