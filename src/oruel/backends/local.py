"""The embedded engine as a Backend: messages to tokens, tokens through the engine, its tokens to deltas."""

import asyncio
import json
from collections.abc import AsyncGenerator

from oruel.engine.client import EngineClient, Generation, Place
from oruel.engine.protocol import TokenOutput
from oruel.errors import ContextLengthExceeded, TemplateTooCostly
from oruel.text.budget import SHORT
from oruel.text.choice import ChoiceText, Piece
from oruel.text.tokenizer import Prompt, Tokenizer
from oruel.types import ChatRequest, Delta, Usage

# Longer conversations take milliseconds to render and tokenise: they do it off the event loop.
INLINE_BYTES = 4096
INLINE_MESSAGES = 64


class LocalBackend:
    """`model` is the name that answers carry, `context` one request's window in tokens. Computed prefixes are shared
    within an account; with `shares_with_all`, which lets an account notice what others sent, across them.
    """

    def __init__(
        self, engine: EngineClient, tokenizer: Tokenizer, *, model: str, context: int, shares_with_all: bool = False
    ) -> None:
        self._engine = engine
        self._tokenizer = tokenizer
        self._model = model
        self._context = context
        self._shares_with_all = shares_with_all

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        # Asked before the prompt is tokenised, so that a full server spends nothing on those it refuses.
        self._engine.require_room(request.n)
        prompt = await self._encode(request)
        left_out = await asyncio.to_thread(self._tokenizer.left_out, request) if request.tools else ()
        max_tokens = self._clamp(request.max_tokens, len(prompt.tokens))
        choices = [self._choice(request, prompt) for _ in range(request.n)]
        scope = "" if self._shares_with_all else request.account
        with self._engine.generate(
            prompt.tokens,
            request.sampling,
            choices=request.n,
            max_tokens=max_tokens,
            tier=request.tier,
            scope=scope,
            form=self._tokenizer.form(request, prompt.state),
        ) as generation:
            place = await generation.started()
            yield Delta(0, self._model, request.tier, queued=place.queued, differs=left_out)
            ended = 0
            while ended < request.n:
                for index, piece in await self._next_pieces(generation, choices):
                    ended += piece.finish is not None
                    usage = count(prompt.tokens, choices, place) if ended == request.n else None
                    yield self._delta(request, index, piece, usage)

    def _choice(self, request: ChatRequest, prompt: Prompt) -> ChoiceText:
        reader = self._tokenizer.reader(request, prompt.state)
        piece = self._tokenizer.shown if reader else self._tokenizer.piece
        return ChoiceText(piece, request.stop, top=request.sampling.logprobs, reader=reader)

    async def _encode(self, request: ChatRequest) -> Prompt:
        size = said(request)
        # Some tokenizers take seconds for a megabyte: what can't fit is refused before they see it.
        self._check_room(request, size // self._tokenizer.longest_piece, "at least ")
        prompt = (self._encode_inline(request) if size <= INLINE_BYTES else None) or await self._encode_aside(request)
        self._check_room(request, len(prompt.tokens))
        return prompt

    def _encode_inline(self, request: ChatRequest) -> Prompt | None:
        """None where that takes longer than the event loop should wait."""
        if request.tools or len(request.messages) > INLINE_MESSAGES:
            return None
        try:
            return self._tokenizer.encode_request(request, limits=SHORT)
        except TemplateTooCostly:
            return None

    async def _encode_aside(self, request: ChatRequest) -> Prompt:
        try:
            return await asyncio.to_thread(self._tokenizer.encode_request, request)
        except TemplateTooCostly as error:
            raise TemplateTooCostly(f"{self._model}: {error.message}", param=error.param) from error

    def _check_room(self, request: ChatRequest, prompt_tokens: int, accuracy: str = "") -> None:
        if prompt_tokens >= self._context:
            declared = described(request)
            param = "tools" if declared > said(request) else "messages"
            remedy = "Declare fewer tools, or describe them in less" if param == "tools" else "Shorten the messages"
            raise ContextLengthExceeded(
                f"The messages {'and tools come' if declared else 'come'} to {accuracy}{prompt_tokens} tokens, and the "
                f"context window of {self._model} holds {self._context}, of which the answer needs at least one. "
                f"{remedy}.",
                param=param,
            )

    def _clamp(self, max_tokens: int | None, prompt_tokens: int) -> int:
        room = self._context - prompt_tokens
        return room if max_tokens is None else min(max_tokens, room)

    async def _next_pieces(self, generation: Generation, choices: list[ChoiceText]) -> list[tuple[int, Piece]]:
        """What has arrived, as one piece per choice that has something to say or has just begun."""
        arrived: dict[int, list[TokenOutput]] = {}
        for index, output in await generation.outputs():
            arrived.setdefault(index, []).append(output)
        pieces: list[tuple[int, Piece]] = []
        for index, outputs in arrived.items():
            begins = choices[index].tokens == 0
            piece = choices[index].feed(*outputs)
            if piece.finish:
                generation.cancel(index)
            if begins or not piece.is_empty:
                pieces.append((index, piece))
        return pieces

    def _delta(self, request: ChatRequest, choice: int, piece: Piece, usage: Usage | None) -> Delta:
        return Delta(
            choice,
            self._model,
            request.tier,
            piece.text,
            piece.reasoning,
            piece.tool_calls,
            piece.logprobs,
            piece.finish,
            usage,
        )


def said(request: ChatRequest) -> int:
    """The bytes of what the messages say."""
    return sum(len((message.content + (message.reasoning_content or "")).encode()) for message in request.messages)


def described(request: ChatRequest) -> int:
    """The characters in which the tools that the model is told of are declared."""
    tools = request.tools if request.tool_choice.mode != "none" else ()
    return sum(len(tool.name + tool.description + json.dumps(tool.parameters)) for tool in tools)


def count(prompt: list[int], choices: list[ChoiceText], place: Place) -> Usage:
    """The prompt counts once, however many choices share it; so does what of it was computed already."""
    return Usage(len(prompt), sum(choice.tokens for choice in choices), place.cached)
