"""What answers in place of a plugin is not believed, nor read without end."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest

from oruel.engine.vllm.chunks import RowPiece, TokenChunk
from oruel.engine.vllm.handshake import Expected, cautions
from oruel.engine.vllm.plugin_watch import PluginWatch
from oruel.engine.vllm.token_server import TokenServer
from oruel.engine.vllm.wire import MAGIC, MAX_HELLO_TOKENS, HelloRequest, from_extra_args, hello_tokens
from oruel.errors import VLLMUnusable
from oruel.http.exchange import UpstreamTimeouts, upstream_client
from tests.engine.vllm.stub_vllm import REPLY, VOCABULARY

EXPECTED = Expected("demo", REPLY.tokenizer, VOCABULARY.size, None)


class EndlessServer(TokenServer):
    """Answers a hello with `beginning`, a check with nothing, and never stops. `sent` counts its tokens."""

    def __init__(self, session: Any, beginning: list[int]) -> None:
        super().__init__(session, "http://vllm", None, UpstreamTimeouts())
        self.sent = 0
        self._beginning = beginning

    async def version(self) -> str:
        return "0.32.0"

    async def models(self) -> list[str]:
        return ["demo"]

    async def generate(self, body: dict[str, Any]) -> AsyncGenerator[TokenChunk, None]:
        self.sent = 0
        is_hello = isinstance(from_extra_args(body["sampling_params"]["extra_args"]), HelloRequest)
        for token in self._beginning if is_hello else ():
            yield TokenChunk([RowPiece(token_ids=[token])])
        while not (is_hello and self._beginning[-1] == 0):
            self.sent += 1
            yield TokenChunk([RowPiece(token_ids=[66])])


def test_a_reply_that_does_not_end_is_no_reply() -> None:
    async def scenario() -> None:
        async with upstream_client() as session:
            server = EndlessServer(session, list(MAGIC))
            with pytest.raises(VLLMUnusable, match="without Oru'el's plugin"):
                await PluginWatch(server, EXPECTED).ensure()
        assert server.sent <= MAX_HELLO_TOKENS

    asyncio.run(scenario())


def test_a_check_that_is_answered_without_end_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oruel.engine.vllm.plugin_watch.TRUST_SECONDS", 0.0)

    async def scenario() -> None:
        async with upstream_client() as session:
            server = EndlessServer(session, hello_tokens(REPLY))
            watch = PluginWatch(server, EXPECTED)
            await watch.ensure()
            await watch.ensure()
        assert server.sent == 0, "after the check, vLLM introduced itself again"

    asyncio.run(scenario())


def test_a_vllm_that_reports_any_number_of_alternatives_has_enough() -> None:
    unlimited = msgspec.structs.replace(REPLY, max_logprobs=-1, batch_invariant=True)
    assert list(cautions(unlimited, reports_cached=True, has_tiers=True)) == []
