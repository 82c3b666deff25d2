"""Honest endpoints of a model that thinks before it answers. Thoughts count as tokens of the completion, end with a
control token, and reach the client in a field of their own, or not at all.
"""

import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from oruel.types import ChatRequest, ResponseFormat
from tests.verify.toy_choice import Json, Piece
from tests.verify.toy_model import Prompt
from tests.verify.toy_server import ToyServer

# After so many tokens the server ends the thoughts, as llama.cpp and vLLM do with a thinking budget.
THOUGHTS = 30
MARK = "</think>"


class Thinking(ToyServer):
    """Log-probabilities cover thoughts, their end, and text, as with llama.cpp and vLLM. The end is forced, however
    improbable it is.
    """

    field: ClassVar[str] = "reasoning_content"

    def pieces(self, request: ChatRequest, prompt: Prompt, choice: int) -> Iterator[Piece]:
        limit, used = self.limit(request, prompt), 0
        for piece in self.thoughts(request, prompt, choice, min(limit, THOUGHTS)):
            used += 1
            yield replace(piece, finish="length" if used == limit else None)
        if used < limit:
            used += 1
            yield Piece(logprobs=self.end_entries(request), finish="length" if used == limit else None)
        if used < limit:
            yield from super().pieces(replace(request, max_tokens=limit - used), prompt, choice)

    def thoughts(self, request: ChatRequest, prompt: Prompt, choice: int, limit: int) -> Iterator[Piece]:
        free = replace(request, max_tokens=limit, stop=(), tools=(), response_format=ResponseFormat())
        musing = replace(prompt, digest=zlib.crc32(b"thoughts", prompt.digest), told=(), answers_at_length=True)
        for piece in super().pieces(free, musing, choice):
            yield replace(piece, text="", thought=piece.text)

    def end_entries(self, request: ChatRequest) -> list[Json]:
        if request.sampling.logprobs is None:
            return []
        best = {"token": " and", "logprob": -0.0001, "bytes": list(b" and")}
        end = {"token": MARK, "logprob": -29.8, "bytes": list(MARK.encode())}
        return [{**end, "top_logprobs": [best, *[end] * 19][: request.sampling.logprobs]}]

    def choice(self, request: ChatRequest, index: int, pieces: list[Piece]) -> Json:
        choice = super().choice(request, index, pieces)
        choice["message"][self.field] = "".join(piece.thought for piece in pieces)
        return choice

    def delta(self, piece: Piece, is_first: bool) -> Json:
        return super().delta(piece, is_first) | ({self.field: piece.thought} if piece.thought else {})


class ThinkingAside(Thinking):
    """Names the field as OpenRouter and newer versions of vLLM do, and reports log-probabilities of the text only."""

    field = "reasoning"

    def pieces(self, request: ChatRequest, prompt: Prompt, choice: int) -> Iterator[Piece]:
        pieces = enumerate(super().pieces(request, prompt, choice))
        yield from (replace(piece, logprobs=[]) if index <= THOUGHTS else piece for index, piece in pieces)


class ThinkingInSecret(ThinkingAside):
    """Only usage tells that the model thought, as with OpenAI."""

    def choice(self, request: ChatRequest, index: int, pieces: list[Piece]) -> Json:
        return ToyServer.choice(self, request, index, pieces)

    def delta(self, piece: Piece, is_first: bool) -> Json:
        return ToyServer.delta(self, piece, is_first)

    def usage(self, prompt: Prompt, completion_tokens: int) -> Json:
        details = {"reasoning_tokens": min(completion_tokens, THOUGHTS)}
        return {**super().usage(prompt, completion_tokens), "completion_tokens_details": details}


class ThinkingUntold(ThinkingInSecret):
    """Nothing tells that the model thinks, but that its first words take long."""

    def usage(self, prompt: Prompt, completion_tokens: int) -> Json:
        return ToyServer.usage(self, prompt, completion_tokens)
