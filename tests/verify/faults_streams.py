"""Planted defects of streams."""

import codecs
from collections.abc import AsyncIterator

from oruel.api.chat.body import ChatCall
from oruel.types import ChatRequest
from tests.verify.planted import planted
from tests.verify.toy_choice import Json, Piece
from tests.verify.toy_model import Prompt
from tests.verify.toy_server import Gone, ToyServer


@planted("streaming.done", "[DONE]")
class DoneMissing(ToyServer):
    async def events(self, call: ChatCall, request: ChatRequest, prompt: Prompt, gone: Gone) -> AsyncIterator[str]:
        async for event in super().events(call, request, prompt, gone):
            if event != "[DONE]":
                yield event


@planted("streaming.finish", "after")
class LateChunk(ToyServer):
    """A chunk with text comes after the finish reason."""

    async def chunks(self, call: ChatCall, request: ChatRequest, prompt: Prompt, gone: Gone) -> AsyncIterator[Json]:
        async for chunk in super().chunks(call, request, prompt, gone):
            yield chunk
            if chunk["choices"] and chunk["choices"][0]["finish_reason"]:
                yield {"choices": [{"index": 0, "delta": {"content": "."}, "logprobs": None, "finish_reason": None}]}


@planted("streaming.finish", "2")
class FinishTwice(ToyServer):
    async def chunks(self, call: ChatCall, request: ChatRequest, prompt: Prompt, gone: Gone) -> AsyncIterator[Json]:
        async for chunk in super().chunks(call, request, prompt, gone):
            yield chunk
            if chunk["choices"] and chunk["choices"][0]["finish_reason"]:
                yield chunk


@planted("streaming.usage", "missing")
class StreamUsageMissing(ToyServer):
    """include_usage has no effect."""

    async def chunks(self, call: ChatCall, request: ChatRequest, prompt: Prompt, gone: Gone) -> AsyncIterator[Json]:
        async for chunk in super().chunks(call, request, prompt, gone):
            if chunk["choices"]:
                yield chunk


@planted("streaming.role", "role")
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


@planted("streaming.utf8", "U+FFFD")
class CharactersSplit(ToyServer):
    """Each token is decoded alone, so that a character that is split over tokens becomes U+FFFD."""

    in_streams = BytewiseStreams


class TrimmingStreams(ToyServer):
    def delta(self, piece: Piece, is_first: bool) -> Json:
        piece.text = piece.text.lstrip("\n")
        return super().delta(piece, is_first)


@planted("streaming.same_text", "differ")
class LineBreaksLostInStreams(ToyServer):
    """Line breaks at the beginning of a chunk are lost."""

    in_streams = TrimmingStreams
