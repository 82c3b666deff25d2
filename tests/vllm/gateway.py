"""Sends requests to an Oru'el server whose engine is a real vLLM."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.fleet.front import events_of
from tests.server import RunningServer

LONG: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Write a long essay about space."}],
    # The demo model's end tokens, so that the answer goes on up to max_tokens.
    "logit_bias": {"0": -100, "2": -100},
}
WAIT_SECONDS = 120


@dataclass(frozen=True)
class Gateway:
    client: httpx2.AsyncClient

    async def ask(self, **fields: Any) -> httpx2.Response:
        """Of the model "oruel-demo", unless `fields` say otherwise."""
        return await self.client.post("/v1/chat/completions", json={"model": "oruel-demo", **fields})

    async def answer(self, **fields: Any) -> dict[str, Any]:
        response = await self.ask(**fields)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    async def text(self, **fields: Any) -> str:
        content: str = (await self.answer(**fields))["choices"][0]["message"]["content"]
        return content

    async def stream(self, begun: asyncio.Event, **fields: Any) -> list[dict[str, Any]]:
        """All events. Sets `begun` once one has content."""
        text = ""
        body = {"model": "oruel-demo", "stream": True, **fields}
        async with self.client.stream("POST", "/v1/chat/completions", json=body) as response:
            async for piece in response.aiter_text():
                text += piece
                if text_of(events_of(text.rpartition("\n\n")[0])):
                    begun.set()
        begun.set()
        return events_of(text)

    async def until(self, holds: Callable[[httpx2.Response], bool], **fields: Any) -> httpx2.Response:
        """Asks again and again, for the first response that `holds`."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not holds(response := await self.ask(**fields)):
                await asyncio.sleep(0.2)
            return response


@asynccontextmanager
async def gateway_of(server: RunningServer) -> AsyncIterator[Gateway]:
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(base_url=server.url, timeout=WAIT_SECONDS, limits=limits) as client:
        yield Gateway(client)


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(event["choices"][0]["delta"].get("content") or "" for event in events if event.get("choices"))


def error_of(events: list[dict[str, Any]]) -> str | None:
    """The code of the error that ended the stream."""
    code: str | None = events[-1]["error"]["code"] if "error" in events[-1] else None
    return code
