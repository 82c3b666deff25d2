"""A token engine as a Backend: tokenizes messages, generates tokens, and converts them into deltas."""

import json
from dataclasses import replace

from oruel.backends.preparation import (
    ContextWindow,
    PreparationQuestion,
    PreparedRequest,
    check_context_length,
    message_bytes,
    prepare,
    prepare_in_job,
    tool_characters,
)
from oruel.engine.generation import Generation
from oruel.engine.protocol import TokenOutput
from oruel.engine.token_engine import TokenEngine
from oruel.errors import TemplateTooCostly
from oruel.jobs.base import Jobs
from oruel.text.answer.choice import ChoiceText
from oruel.text.formats.reasoning import State
from oruel.text.prompt.budget import SHORT
from oruel.text.tokenizer import Tokenizer
from oruel.types import (
    Accepted,
    Answer,
    ChatRequest,
    ChoicePiece,
    Delta,
    Prepared,
    Progress,
    TokenText,
    TokenTrace,
    TracedToken,
    Usage,
)

# Longer conversations and schemas take milliseconds to prepare, which would block the event loop.
INLINE_BYTES = 4096
INLINE_MESSAGES = 64
INLINE_SCHEMA_CHARACTERS = 2048


NO_TEMPLATE = "messages: the model has no chat template, so ChatML is used"


class LocalBackend:
    """`tokenizer_name` is the name under which job processes load `tokenizer`. The prefix cache is shared within an
    account; with `shares_with_all`, across accounts, so that response times reveal the prompts of other accounts.
    """

    def __init__(
        self,
        engine: TokenEngine,
        tokenizer: Tokenizer,
        jobs: Jobs,
        *,
        tokenizer_name: str,
        window: ContextWindow,
        shares_with_all: bool = False,
    ) -> None:
        self._engine = engine
        self._tokenizer = tokenizer
        self._jobs = jobs
        self._tokenizer_name = tokenizer_name
        self._window = window
        self._shares_with_all = shares_with_all

    async def stream(self, request: ChatRequest) -> Answer:
        # Checked before the prompt is tokenised, so that a full server spends nothing on requests that it refuses.
        self._engine.require_room(request.n)
        prepared = await self._prepare(request)
        max_tokens = self._clamp(request.max_tokens, len(prepared.tokens))
        choices = [self._choice(request, prepared.state) for _ in range(request.n)]
        cache_salt = "" if self._shares_with_all else request.account
        yield Prepared(len(prepared.tokens), max_tokens)
        with self._engine.generate(
            prepared.tokens,
            request.sampling,
            choices=request.n,
            max_tokens=max_tokens,
            tier=request.tier,
            cache_salt=cache_salt,
            constraint=prepared.constraint,
            prefix=request.prefix,
        ) as generation:
            admission = await generation.started()
            differs = prepared.left_out if self._tokenizer.has_template else (NO_TEMPLATE, *prepared.left_out)
            yield Accepted(
                admission.queued,
                differs=differs,
                progress=lambda: Progress(count_usage(prepared.tokens, choices, generation.cached)),
            )
            ended = 0
            while ended < request.n:
                for index, piece in await self._next_pieces(generation, choices):
                    ended += piece.finish is not None
                    usage = None
                    if ended == request.n:
                        await generation.settled()
                        usage = count_usage(prepared.tokens, choices, generation.cached)
                    yield Delta.of(piece, index, self._window.model, request.tier, usage)

    def _choice(self, request: ChatRequest, state: State) -> ChoiceText:
        reader = self._tokenizer.reader(request, state)
        piece = self._tokenizer.shown if reader else self._tokenizer.piece
        return ChoiceText(piece, request.stop, top=request.sampling.logprobs, reader=reader)

    async def _prepare(self, request: ChatRequest) -> PreparedRequest:
        size = message_bytes(request)
        # Some tokenizers take seconds per megabyte, so a prompt that can't fit is refused before it is tokenized.
        check_context_length(request, self._window, size // self._tokenizer.longest_piece, "at least ")
        return (self._prepare_inline(request) if size <= INLINE_BYTES else None) or await self._prepare_aside(request)

    def _prepare_inline(self, request: ChatRequest) -> PreparedRequest | None:
        """Returns None if preparing takes too long for the event loop."""
        if len(request.messages) > INLINE_MESSAGES or not has_short_schemas(request):
            return None
        try:
            return prepare(self._tokenizer, request, self._window, limits=SHORT)
        except TemplateTooCostly:
            return None

    async def _prepare_aside(self, request: ChatRequest) -> PreparedRequest:
        conversation = PreparationQuestion(self._tokenizer_name, self._window, request)
        param = "tools" if tool_characters(request) > message_bytes(request) else "messages"
        return await self._jobs.run(prepare_in_job, conversation, kind="prompt", account=request.account, param=param)

    def _clamp(self, max_tokens: int | None, prompt_tokens: int) -> int:
        room = self._window.tokens - prompt_tokens
        return room if max_tokens is None else min(max_tokens, room)

    async def _next_pieces(self, generation: Generation, choices: list[ChoiceText]) -> list[tuple[int, ChoicePiece]]:
        """Waits for outputs of the engine. Returns one piece per choice that has content or has just started."""
        arrived: dict[int, list[TokenOutput]] = {}
        for index, output in await generation.outputs():
            arrived.setdefault(index, []).append(output)
        pieces: list[tuple[int, ChoicePiece]] = []
        for index, outputs in arrived.items():
            begins = choices[index].tokens == 0
            piece = self._feed(choices[index], outputs)
            if piece.finish:
                generation.cancel(index)
            if begins or not piece.is_empty:
                pieces.append((index, piece))
        return pieces

    def _feed(self, choice: ChoiceText, outputs: list[TokenOutput]) -> ChoicePiece:
        before = choice.tokens
        piece = choice.feed(*outputs)
        # Outputs after the end of the choice are not part of the answer.
        counted = outputs[: choice.tokens - before]
        traced = tuple(self._traced(output.token, output.trace) for output in counted if output.trace)
        return replace(piece, trace=traced) if traced else piece

    def _traced(self, token: int, trace: TokenTrace) -> TracedToken:
        ids = {token, *(candidate.id for candidate in trace.candidates)}
        return TracedToken(token, trace, {id: self._text(id) for id in ids})

    def _text(self, token: int) -> TokenText:
        piece = self._tokenizer.piece(token)
        return TokenText(piece.decode(errors="replace") or self._tokenizer.token_text(token), piece)


def has_short_schemas(request: ChatRequest) -> bool:
    schemas = [request.response_format.schema, *(tool.parameters for tool in request.tools)]
    return sum(len(json.dumps(schema)) for schema in schemas) <= INLINE_SCHEMA_CHARACTERS


def count_usage(prompt: list[int], choices: list[ChoiceText], cached: int) -> Usage:
    """The prompt and its cached tokens count once, even if several choices share them."""
    return Usage(len(prompt), sum(choice.tokens for choice in choices), cached)
