"""POST /v1/chat/completions."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from oruel.api.body import is_small, read_body
from oruel.api.chat.body import ChatCall, Terms, parse_chat_aside, parse_raw_chat
from oruel.api.chat.chunks import Chunks, Fingerprint
from oruel.api.chat.completion import ChatCompletion, answer_choice, usage_body
from oruel.api.connection import while_connected
from oruel.api.deadline import enforce_deadlines, on_loop, requested_timeout
from oruel.api.examiner import Examiner, has_schemas
from oruel.api.record import RequestRecord, header_text, record_of
from oruel.api.services import Endpoint, Services
from oruel.api.sse import EventStream, event
from oruel.backends.base import Backend
from oruel.errors import RoutedInCircles
from oruel.types import HOPS, ChatRequest, Delta

log = structlog.get_logger("oruel.api")
encode = msgspec.json.Encoder().encode

# The most entries listed in one header.
MAX_IGNORED_NAMED = 32
MAX_HOPS = 8


def chat_endpoint(services: Services) -> Endpoint:
    examiner = Examiner(services.jobs)

    async def create_chat_completion(request: Request) -> Response:
        raw = await read_body(request, services.max_body_bytes)
        record = record_of(request)
        call = await read_call(request, raw, services)

        def headers() -> dict[str, str]:
            return ignored_header(call) | differs_header((*record.unenforced, *record.differs))

        def fingerprint() -> str | None:
            return services.fingerprint(record.deployment)

        record.asked(call.request, call.recorded)
        if services.log_prompts:
            log.info("prompt", request_id=record.id, messages=[[m.role, m.content] for m in call.request.messages])
        deadlines = replace(services.deadlines, timeout=requested_timeout(request.headers))
        deltas = enforce_deadlines(
            stream_answer(call.request, services.backend, examiner, record), deadlines, record.started
        )
        deltas = record_deltas(deltas, record)
        if call.stream:
            events = stream_events(call, deltas, fingerprint)
            due = deadlines.of_whole(on_loop(record.started)).due
            return EventStream(events, services.heartbeat_seconds, headers, due)
        answer = await while_connected(request.receive, build_completion(call, deltas, fingerprint))
        return Response(encode(answer), headers=headers(), media_type="application/json")

    return create_chat_completion


async def read_call(request: Request, raw: bytes, services: Services) -> ChatCall:
    """Raises RequestError, ClientDisconnect, and what Jobs.run raises."""
    terms = Terms(
        services.catalog.cards,
        record_of(request).account,
        parse_hops(request.headers.get(HOPS, "")),
        services.unknown_fields == "report",
    )
    if is_small(raw):
        return parse_raw_chat(raw, terms, services.catalog)
    question = msgspec.json.encode(terms) + b"\n" + raw
    job = services.jobs.run(parse_chat_aside, question, kind="body", account=terms.account)
    return await while_connected(request.receive, job)


def stream_answer(
    request: ChatRequest, backend: Backend, examiner: Examiner, record: RequestRecord
) -> AsyncGenerator[Delta, None]:
    """Examines the schemas of the request, if any, before it reaches the backend."""
    return examine_then_answer(request, backend, examiner, record) if has_schemas(request) else backend.stream(request)


async def examine_then_answer(
    request: ChatRequest, backend: Backend, examiner: Examiner, record: RequestRecord
) -> AsyncGenerator[Delta, None]:
    record.unenforced = await examiner.examine(request)
    async with aclosing(backend.stream(request)) as deltas:
        async for delta in deltas:
            yield delta


async def build_completion(
    call: ChatCall, deltas: AsyncGenerator[Delta, None], fingerprint: Fingerprint
) -> ChatCompletion:
    choices: dict[int, list[Delta]] = {index: [] for index in range(call.request.n)}
    async with aclosing(deltas):
        async for delta in deltas:
            choices[delta.choice].append(delta)
    assert delta.usage is not None, "the last delta of a request carries its usage"
    with_logprobs = call.request.sampling.logprobs is not None
    return ChatCompletion(
        id=call.request.id,
        created=int(time.time()),
        model=delta.model,
        tier=delta.tier,
        system_fingerprint=fingerprint(),
        choices=[answer_choice(index, given, with_logprobs=with_logprobs) for index, given in choices.items()],
        usage=usage_body(delta.usage),
    )


async def stream_events(
    call: ChatCall, deltas: AsyncGenerator[Delta, None], fingerprint: Fingerprint
) -> AsyncGenerator[bytes, None]:
    """Yields the events of each delta as one block of bytes, empty if the delta shows nothing yet."""
    chunks = Chunks(call, fingerprint)
    async with aclosing(deltas):
        async for delta in deltas:
            yield b"".join([event(encode(chunk)) for chunk in chunks.of(delta)])


async def record_deltas(deltas: AsyncGenerator[Delta, None], record: RequestRecord) -> AsyncGenerator[Delta, None]:
    """Records each delta. Drops the one that only reports `queued`, which has no content for the caller."""
    async with aclosing(deltas):
        async for delta in deltas:
            record.answered(delta)
            if delta.queued is None:
                yield delta


def parse_hops(header: str) -> int:
    """Raises RoutedInCircles."""
    hops = int(header[:4]) if header.isascii() and header.isdigit() else 0
    if hops > MAX_HOPS:
        raise RoutedInCircles(
            f"This request has already passed through {hops} Oru'el instances; at most {MAX_HOPS} are allowed."
        )
    return hops


def ignored_header(call: ChatCall) -> dict[str, str]:
    if not call.ignored:
        return {}
    named = ", ".join(call.ignored[:MAX_IGNORED_NAMED])
    more = ", …" if len(call.ignored) > MAX_IGNORED_NAMED else ""
    return {"x-oruel-ignored": header_text(named + more)}


def differs_header(differs: tuple[str, ...]) -> dict[str, str]:
    if not differs:
        return {}
    more = "; …" if len(differs) > MAX_IGNORED_NAMED else ""
    return {"x-oruel-differs": header_text("; ".join(differs[:MAX_IGNORED_NAMED]) + more)}
