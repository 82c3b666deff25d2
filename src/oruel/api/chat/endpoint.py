"""POST /v1/chat/completions: a body to a ChatRequest, the backend's deltas to an answer, whole or streamed."""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import replace

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from oruel.api.body import is_small, read_body
from oruel.api.chat.body import ChatCall, Terms, parse_chat_aside, parse_raw_chat
from oruel.api.chat.chunks import Chunks
from oruel.api.chat.completion import ChatCompletion, answer_choice, usage_body
from oruel.api.connection import while_connected
from oruel.api.deadline import Deadlines, enforce_deadlines, on_loop, requested_timeout
from oruel.api.examiner import Examiner, has_schemas
from oruel.api.idempotency import REPLAYED, AnswerKeeper, entry_context, replay_response, replayed_answer
from oruel.api.record import RequestRecord, header_text, record_of
from oruel.api.services import Endpoint, Services
from oruel.api.sse import Events, EventStream, event
from oruel.backends.base import Backend
from oruel.errors import RoutedInCircles
from oruel.ledger.base import EntryContext
from oruel.types import HOPS, Accepted, Answer, ChatRequest, Delta, MeteredAnswer

log = structlog.get_logger("oruel.api")
encode = msgspec.json.Encoder().encode

# As many paths of ignored fields as a header line can bear.
MAX_IGNORED_NAMED = 32
MAX_HOPS = 8

# The system_fingerprint of a deployment's answers.
Fingerprints = Callable[[str], str | None]


def chat_endpoint(services: Services) -> Endpoint:
    examiner = Examiner(services.jobs)

    async def create_chat_completion(request: Request) -> Response:
        record = record_of(request)
        record.caller.require_scope("inference")
        raw = await read_body(request, services.max_body_bytes)
        context = entry_context(request, raw)
        call = await read_call(request, raw, services)
        record.caller.require_model(call.request.model, call.request.tier)
        record.note_request(call.request, call.recorded)
        if services.log_prompts:
            log.info("prompt", request_id=record.id, messages=[[m.role, m.content] for m in call.request.messages])
        deadlines = deadlines_of(request, services)
        answer = answer_of(call.request, services.backend, examiner)
        answer = enforce_deadlines(answer, deadlines, record.started)
        metered = record_items(services.ledger.meter(call.request, record.caller, answer, context), record)
        if call.stream:
            events = stream_events(call, metered, services.fingerprint, context)
            due = deadlines.of_whole(on_loop(record.started)).due
            return EventStream(events, services.heartbeat_seconds, ignored_header(call), due)
        return await while_connected(request.receive, whole_answer(call, metered, services.fingerprint, context))

    return create_chat_completion


def deadlines_of(request: Request, services: Services) -> Deadlines:
    """Raises InvalidParameter."""
    timeout = requested_timeout(request.headers)
    return services.deadlines if math.isinf(timeout) else replace(services.deadlines, timeout=timeout)


async def read_call(request: Request, raw: bytes, services: Services) -> ChatCall:
    """Raises RequestError, ClientDisconnect, and what Jobs.run raises."""
    terms = Terms(
        services.catalog.cards,
        record_of(request).account,
        hops_of(request.headers.get(HOPS, "")),
        services.unknown_fields == "report",
    )
    if is_small(raw):
        return parse_raw_chat(raw, terms, services.catalog)
    question = msgspec.json.encode(terms) + b"\n" + raw
    job = services.jobs.run(parse_chat_aside, question, kind="body", account=terms.account)
    return await while_connected(request.receive, job)


def answer_of(request: ChatRequest, backend: Backend, examiner: Examiner) -> Answer:
    """The backend's answer, after the request's schemas were examined."""
    return examine_then_answer(request, backend, examiner) if has_schemas(request) else backend.stream(request)


async def examine_then_answer(request: ChatRequest, backend: Backend, examiner: Examiner) -> Answer:
    unenforced = await examiner.examine(request)
    async with aclosing(backend.stream(request)) as answer:
        async for item in answer:
            yield replace(item, differs=(*unenforced, *item.differs)) if isinstance(item, Accepted) else item


async def record_items(answer: MeteredAnswer, record: RequestRecord) -> MeteredAnswer:
    async with aclosing(answer):
        async for item in answer:
            record.note_item(item)
            yield item


async def whole_answer(
    call: ChatCall, answer: MeteredAnswer, fingerprint_of: Fingerprints, context: EntryContext
) -> Response:
    """The response. The ledger settles the request before the answer ends, and stores the body with it."""
    choices: dict[int, list[Delta]] = {index: [] for index in range(call.request.n)}
    accepted, body = Accepted(), b""
    keeper = AnswerKeeper(context, "application/json")
    async with aclosing(answer):
        async for item in answer:
            if isinstance(item, Accepted):
                accepted = item
                continue
            choices[item.choice].append(item)
            if item.usage:
                body = encode(completion_of(call, choices, item, fingerprint_of(accepted.deployment)))
                keeper.add(body, last=True)
    if replay := replayed_answer(context):
        return replay_response(replay, ignored_header(call))
    assert body, "the last delta of a request carries its usage"
    return Response(body, headers=answer_headers(call, accepted), media_type="application/json")


def completion_of(
    call: ChatCall, choices: Mapping[int, list[Delta]], last: Delta, fingerprint: str | None
) -> ChatCompletion:
    assert last.usage, "the last delta of a request carries its usage"
    return ChatCompletion(
        id=call.request.id,
        created=int(time.time()),
        model=last.model,
        tier=last.tier,
        system_fingerprint=fingerprint,
        choices=[answer_choice(index, given, call.request.sampling) for index, given in choices.items()],
        usage=usage_body(last.usage),
    )


async def stream_events(
    call: ChatCall, answer: MeteredAnswer, fingerprint_of: Fingerprints, context: EntryContext
) -> Events:
    """The response's headers, then the events of each delta together; none for a delta that shows nothing yet."""
    accepted, chunks = Accepted(), None
    keeper = AnswerKeeper(context, EventStream.media_type)
    async with aclosing(answer):
        async for item in answer:
            if isinstance(item, Accepted):
                accepted = item
                continue
            if chunks is None:
                chunks = Chunks(call, fingerprint_of(accepted.deployment))
                yield answer_headers(call, accepted)
            events = b"".join([event(encode(chunk)) for chunk in chunks.of(item)])
            keeper.add(events, last=item.usage is not None)
            yield events
    if replay := replayed_answer(context):
        yield ignored_header(call) | REPLAYED
        yield replay[0].encode()


def answer_headers(call: ChatCall, accepted: Accepted) -> dict[str, str]:
    return ignored_header(call) | differs_header(accepted.differs)


def hops_of(header: str) -> int:
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
