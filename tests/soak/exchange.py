"""One plan over HTTP: whatever came back, or how it ended without."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import httpx2

from tests.soak.plan import Plan

ANSWER_SECONDS = 180.0

# "late": no end within ANSWER_SECONDS; "broken": the connection failed.
Ending = Literal["whole", "left", "late", "broken"]


@dataclass
class Reply:
    """Times are of time.monotonic; `status` None: not a byte had come."""

    plan: Plan
    sent: float
    ended: float = 0.0
    ending: Ending = "left"
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    trouble: str = ""


def open_client(url: str) -> httpx2.AsyncClient:
    # Idle connections are dropped before the server would do it, so that none breaks just as it is used again.
    limits = httpx2.Limits(max_connections=None, keepalive_expiry=2)
    return httpx2.AsyncClient(base_url=url, timeout=None, limits=limits)


async def exchange(client: httpx2.AsyncClient, plan: Plan) -> Reply:
    reply = Reply(plan, time.monotonic())
    try:
        async with asyncio.timeout(plan.leaving.seconds if plan.leaving else ANSWER_SECONDS):
            await receive(client, reply)
    except TimeoutError:
        reply.ending = "left" if plan.leaving else "late"
    except httpx2.TransportError as error:
        reply.ending, reply.trouble = "broken", repr(error)
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
        reply.ending = "whole"
