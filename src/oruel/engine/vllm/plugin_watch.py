"""Keeps track of whether the vLLM at the other end is the one that introduced itself."""

import asyncio
import time
import uuid
from contextlib import aclosing

import structlog

from oruel.engine.vllm.handshake import Expected, cautions, check_hello, check_served, check_version, missing_plugin
from oruel.engine.vllm.row_body import check_body, hello_body
from oruel.engine.vllm.token_server import TokenServer
from oruel.engine.vllm.wire import (
    CHECK_TOKENS,
    MAX_HELLO_TOKENS,
    CheckRequest,
    HelloReply,
    WireError,
    check_tokens,
    is_hello,
    read_hello,
)
from oruel.errors import OruelError, UpstreamFailed, VLLMUnusable
from oruel.http.exchange import unreadable_as_failure

log = structlog.get_logger("oruel.engine")

# A vLLM that was heard so recently is still the same process: a new one takes longer to load its model.
TRUST_SECONDS = 4.0


class PluginWatch:
    """Nothing is sent to a vLLM whose plugin didn't answer. `hello` is what it said last; None if it never did.
    `problem` is why it can't be used now; None while it can.
    """

    def __init__(self, server: TokenServer, expected: Expected, *, has_tiers: bool = True) -> None:
        self.hello: HelloReply | None = None
        self.problem: OruelError | None = None
        self._server = server
        self._expected = expected
        self._has_tiers = has_tiers
        self._is_doubtful = True
        self._heard_at = 0.0
        self._meeting: asyncio.Task[HelloReply] | None = None

    @property
    def is_trusted(self) -> bool:
        """Whether vLLM has introduced itself since the last failure."""
        return not self._is_doubtful

    def heard(self) -> None:
        """vLLM sent something."""
        self._heard_at = time.monotonic()

    def doubt(self) -> None:
        """A request failed, perhaps because vLLM was restarted: it has to introduce itself again."""
        self._is_doubtful = True

    async def ensure(self) -> HelloReply:
        """What the vLLM said that answers requests now. Raises VLLMUnusable, UpstreamFailed, Overloaded."""
        if self.hello and not self._is_doubtful and time.monotonic() - self._heard_at < TRUST_SECONDS:
            return self.hello
        if self._meeting is None:
            self._meeting = asyncio.create_task(self._meet(), name="handshake with vLLM")
            self._meeting.add_done_callback(self._forget_meeting)
        # Shared by all requests that wait for it, so that one of them may leave.
        return await asyncio.shield(self._meeting)

    def _forget_meeting(self, meeting: asyncio.Task[HelloReply]) -> None:
        self._meeting = None
        if not meeting.cancelled():
            # Marks the error as seen, also if every request that waited has left.
            meeting.exception()

    async def _meet(self) -> HelloReply:
        try:
            with unreadable_as_failure():
                if not self.hello or self._is_doubtful or not await self._is_same(self.hello):
                    self.hello = await self._introduce()
        except OruelError as error:
            self._server.hide_key(error)
            self._note_problem(error)
            raise error from None
        if self.problem:
            log.info("vLLM can be used again", at=self._server.root)
        self.problem, self._is_doubtful = None, False
        self.heard()
        return self.hello

    def _note_problem(self, error: OruelError) -> None:
        if self.problem is None or self.problem.message != error.message:
            detail = error.detail if isinstance(error, UpstreamFailed) else ""
            log.warning("vLLM can't be used", at=self._server.root, reason=error.message, detail=detail)
        self.problem, self._is_doubtful = error, True

    async def _introduce(self) -> HelloReply:
        check_version(await self._server.version())
        check_served(await self._server.models(), self._expected.model)
        hello, reports_cached = await self._ask()
        check_hello(hello, self._expected)
        if hello != self.hello:
            log.info("vLLM introduced itself", at=self._server.root, vllm=hello.vllm, plugin=hello.plugin)
            for caution in cautions(hello, reports_cached=reports_cached, has_tiers=self._has_tiers):
                log.warning(caution, at=self._server.root)
        return hello

    async def _ask(self) -> tuple[HelloReply, bool]:
        """The plugin's reply, and whether vLLM reports cached tokens."""
        tokens, reports_cached = list[int](), False
        async with aclosing(self._server.generate(hello_body(self._expected.model, uuid.uuid4().hex))) as chunks:
            async for chunk in chunks:
                tokens += [token for piece in chunk.choices for token in piece.token_ids or []]
                if not is_hello(tokens) or len(tokens) > MAX_HELLO_TOKENS:
                    raise missing_plugin()
                if chunk.usage:
                    reports_cached = chunk.usage.prompt_tokens_details is not None
        try:
            return read_hello(tokens), reports_cached
        except WireError as error:
            raise VLLMUnusable(error.message) from error

    async def _is_same(self, hello: HelloReply) -> bool:
        """Whether the plugin is still there, in the same vLLM. Costs CHECK_TOKENS steps."""
        check = CheckRequest(nonce=uuid.uuid4().hex)
        body = check_body(check, self._expected.model, uuid.uuid4().hex)
        tokens = list[int]()
        async with aclosing(self._server.generate(body)) as chunks:
            async for chunk in chunks:
                tokens += [token for piece in chunk.choices for token in piece.token_ids or []]
                if len(tokens) > CHECK_TOKENS:
                    return False
        return tokens == check_tokens(hello.fingerprint, check.nonce, hello.vocabulary_size)
