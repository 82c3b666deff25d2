"""Sends one plan over HTTP and records the reply, or how the exchange ended without one."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import httpx2

from tests.soak.plan import Plan

ANSWER_SECONDS = 180.0

# "cancelled": the client disconnected, as planned; "late": no end within ANSWER_SECONDS; "broken": the connection
# failed.
Ending = Literal["complete", "cancelled", "late", "broken"]


@dataclass
class Reply:
    """Times are those of time.monotonic. `status` is None if nothing was received."""

    plan: Plan
    sent: float
    ended: float = 0.0
    ending: Ending = "cancelled"
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    error: str = ""


def open_client(url: str) -> httpx2.AsyncClient:
    # Drop idle connections before the server does, so that none breaks when it is reused.
    limits = httpx2.Limits(max_connections=None, keepalive_expiry=2)
    return httpx2.AsyncClient(base_url=url, timeout=None, limits=limits)


async def exchange(client: httpx2.AsyncClient, plan: Plan) -> Reply:
    reply = Reply(plan, time.monotonic())
    try:
        async with asyncio.timeout(plan.leaving.seconds if plan.leaving else ANSWER_SECONDS):
            await receive(client, reply)
    except TimeoutError:
        reply.ending = "cancelled" if plan.leaving else "late"
    except httpx2.TransportError as error:
        reply.ending, reply.error = "broken", repr(error)
    reply.ended = time.monotonic()
    return reply


async def receive(client: httpx2.AsyncClient, reply: Reply) -> None:
    plan = reply.plan
    headers = {"content-type": "application/json", "x-request-id": plan.id, **plan.headers}
    async with client.stream("POST", plan.path, content=plan.content, headers=headers) as response:
        reply.status, reply.headers = response.status_code, dict(response.headers)
        async for part in response.aiter_bytes():
            reply.body += part
            if plan.leaving and plan.leaving.events and reply.body.count(b"\n\n") >= plan.leaving.events:
                return
        reply.ending = "complete"
