"""Planted defects of models that think before they answer."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from oruel.types import ChatRequest, ResponseFormat
from tests.verify.planted import planted, with_sampling
from tests.verify.toy_choice import Json, Piece
from tests.verify.toy_model import Prompt
from tests.verify.toy_server import ToyServer
from tests.verify.toy_thinking import THOUGHTS, Thinking


class ThoughtsAsText(Thinking):
    def delta(self, piece: Piece, is_first: bool) -> Json:
        return super().delta(replace(piece, text=piece.thought + piece.text, thought=""), is_first)


@planted("stream", "the thoughts come as text")
class ThoughtsLeakInStreams(Thinking):
    """vLLM: the parser of a stream doesn't know that the template has opened the thoughts."""

    in_streams: ClassVar[type[ToyServer] | None] = ThoughtsAsText


@planted("max_tokens", "differs: 1 gives 32 tokens")
class ThoughtsBesideMaxTokens(Thinking):
    """max_tokens limits the text only."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return replace(request, max_tokens=request.max_tokens and request.max_tokens + THOUGHTS + 1)


@planted("response_format.json_object", "ignored: the text isn't a JSON object")
class JsonUnlessThinking(Thinking):
    """vLLM: the grammar isn't applied once the model has thought."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return replace(request, response_format=ResponseFormat())


@planted("seed", "ignored: every repetition gives another answer")
class SeedForTextOnly(Thinking):
    """Thoughts are drawn without the request's seed."""

    def thoughts(self, request: ChatRequest, prompt: Prompt, choice: int, limit: int) -> Iterator[Piece]:
        unseeded = with_sampling(request, seed=self.entropy.getrandbits(63))
        return super().thoughts(unseeded, prompt, choice, limit)
