"""One choice of a request, as one request to vLLM."""

import asyncio
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from oruel.constraints.spec import ConstraintSpec, DocumentOrCallsSpec, RulesSpec
from oruel.engine.generation import Generation
from oruel.engine.sequence import HEAD_START_SECONDS
from oruel.engine.vllm.chunks import TokenChunk
from oruel.engine.vllm.plugin_watch import PluginWatch
from oruel.engine.vllm.row_body import row_body
from oruel.engine.vllm.row_reader import RowReader
from oruel.engine.vllm.token_server import TokenServer
from oruel.engine.vllm.wire import HelloReply, RowRequest, SilentTokens, choose_mark, new_seal
from oruel.errors import OruelError, Overloaded, RequestError, UnsupportedParameter, UpstreamFailed
from oruel.http.exchange import unreadable_as_failure
from oruel.types import SamplingParams, Tier

# Once its answer has ended, vLLM has this long to report the usage of a request.
USAGE_SECONDS = 1.0
# A token of the grammar's Lark by its id.
NAMED_TOKEN = re.compile(r"<\[(\d+)\]>")

log = structlog.get_logger("oruel.engine")


@dataclass(frozen=True, slots=True)
class TokenSource:
    """The vLLM that answers, and what its rows have in common: all `end_tokens`, and the `silent` tokens."""

    server: TokenServer
    watch: PluginWatch
    model: str
    end_tokens: list[int]
    silent: SilentTokens


@dataclass(frozen=True, slots=True)
class RowOrder:
    """What a request asks of each of its rows."""

    prompt: list[int]
    sampling: SamplingParams
    max_tokens: int
    tier: Tier
    cache_salt: str
    constraint: ConstraintSpec | None


class Row:
    """Sends its request to vLLM as soon as it is made, and hands what arrives to `generation`. `cached`: how many
    tokens of the prompt vLLM had in its cache; None if it didn't say so. `introduced` gets what vLLM said of itself.
    """

    def __init__(
        self,
        source: TokenSource,
        generation: Generation,
        order: RowOrder,
        *,
        sequence: int,
        choice: int,
        introduced: Callable[[HelloReply], None],
    ) -> None:
        self.sequence = sequence
        self.generation = generation
        self.cached: int | None = None
        self._source = source
        self._order = order
        self._choice = choice
        self._introduced = introduced
        self._id = uuid.uuid4().hex
        self._is_sent = self._is_aborted = self._has_ended = False
        self._abortion: asyncio.Task[None] | None = None
        self.task = asyncio.create_task(self._run(), name="row of vLLM")

    def abort(self) -> None:
        """Lets vLLM stop within a step, but waits for its usage. What still arrives is ignored."""
        if self._has_ended:
            return
        self._is_aborted = True
        if not self._is_sent:
            self.task.cancel()
            return
        self._abortion = asyncio.create_task(self._tell_abort(), name="abort of a row")
        self._end_soon()

    async def _run(self) -> None:
        try:
            with unreadable_as_failure():
                await self._answer()
        except OruelError as error:
            if casts_doubt(error):
                self._source.watch.doubt()
            if not self._is_aborted:
                self.generation.receive(error)

    async def _answer(self) -> None:
        """Raises OruelError."""
        hello = await self._source.watch.ensure()
        self._introduced(hello)
        row = self._request(hello)
        reader = RowReader(row, self.sequence, hello.vocabulary_size)
        body = row_body(
            row,
            self._order.prompt,
            model=self._source.model,
            request_id=self._id,
            cache_salt=self._order.cache_salt,
            priority=priority_of(self._order.tier, time.time()) if hello.priority_scheduling else None,
        )
        self._is_sent = True
        async with aclosing(self._source.server.generate(body)) as chunks:
            async for chunk in chunks:
                self._source.watch.heard()
                self.generation.start()
                if not (self._is_aborted or self._has_ended):
                    self._deliver(reader, chunk)
                if self.cached is None and chunk.cached is not None:
                    # It is paid for as cached, so never more than there is.
                    self.cached = min(chunk.cached, len(self._order.prompt))
        if not (self._is_aborted or self._has_ended):
            raise UpstreamFailed("The vLLM behind this model ended the answer without a reason.")

    def _deliver(self, reader: RowReader, chunk: TokenChunk) -> None:
        for output in reader.feed(chunk):
            self.generation.receive(output)
        self._has_ended = reader.has_ended
        if self._has_ended:
            self._end_soon()

    def _request(self, hello: HelloReply) -> RowRequest:
        """Raises UnsupportedParameter."""
        order = self._order
        check_logprobs(order.sampling, hello.max_logprobs)
        ends, mark = self._source.end_tokens, mark_of(order, self._source.silent, hello.vocabulary_size)
        return RowRequest(
            engine=hello.fingerprint,
            choice=self._choice,
            sampling=order.sampling,
            constraint=order.constraint,
            end_tokens=ends,
            mark=mark,
            max_tokens=order.max_tokens,
            prompt_tokens=len(order.prompt),
            cache_salt=order.cache_salt,
            seal=new_seal({*ends, mark}),
        )

    def _end_soon(self) -> None:
        asyncio.get_running_loop().call_later(USAGE_SECONDS, self.task.cancel)

    async def _tell_abort(self) -> None:
        try:
            await self._source.server.abort(self._id)
        except OruelError as error:
            # Closing the connection aborts the request, too.
            log.info("vLLM did not take an abort", error=error.message)
            self.task.cancel()


def casts_doubt(error: OruelError) -> bool:
    """Whether vLLM may have been restarted. It has not if it refused the request for what that asks, or is full."""
    return not isinstance(error, RequestError) and type(error) is not Overloaded


def check_logprobs(sampling: SamplingParams, most: int) -> None:
    """vLLM would refuse the request with a message that names none of the contract's parameters. `most` is its
    max_logprobs, negative for no limit. Raises UnsupportedParameter.
    """
    wanted = sampling.logprobs or 0
    if wanted and 0 <= most < wanted + 1:
        raise UnsupportedParameter(
            f"top_logprobs is {wanted}, but this deployment reports at most {max(0, most - 1)}. Request fewer.",
            param="top_logprobs",
        )


def mark_of(order: RowOrder, silent: SilentTokens, vocabulary_size: int) -> int:
    """Raises UnsupportedParameter if the request names all tokens that could be the mark."""
    named = set(named_tokens(order.constraint)) if order.constraint else set()
    mark = choose_mark(silent, vocabulary_size, named | order.sampling.logit_bias.keys())
    if mark is None:
        raise UnsupportedParameter(
            "logit_bias names every token that has no text, but one must stay free for this deployment. Leave one out.",
            param="logit_bias",
        )
    return mark


def named_tokens(constraint: ConstraintSpec) -> Iterator[int]:
    """The tokens without text that the constraint allows."""
    if isinstance(constraint, DocumentOrCallsSpec):
        yield from named_tokens(constraint.document)
        yield from named_tokens(constraint.calls)
    elif isinstance(constraint, RulesSpec):
        yield from constraint.reasoning_end
        for part in constraint.parts[::2]:
            yield from map(int, NAMED_TOKEN.findall(part))


def priority_of(tier: Tier, now: float) -> int:
    """vLLM serves lower numbers first. As in the embedded engine, turbo gets a head start, and standard ages: `now`, in
    seconds since the epoch, becomes milliseconds.
    """
    return int(1000 * (now - (HEAD_START_SECONDS if tier == "turbo" else 0.0)))
