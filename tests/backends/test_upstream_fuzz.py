"""The reader turns 10,000 mutated streams of all kinds of servers into valid deltas or a typed error."""

import json
import random
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from itertools import cycle, islice
from typing import Any

import pytest

from oruel.api.failures import error_json
from oruel.backends.base import Backend
from oruel.backends.upstream import UpstreamBackend
from oruel.backends.upstream_stream import UpstreamStream
from oruel.errors import OruelError, UpstreamFailed
from oruel.http.exchange import UpstreamTimeouts, upstream_client
from oruel.router.catalog import Catalog, ModelCard
from oruel.router.deployment import Deployment, UpstreamSource
from oruel.router.price import Price
from oruel.router.route import Route
from oruel.router.router import Router
from oruel.types import ChatRequest, Delta, Message, SamplingParams, Tool, ToolCallDelta, ToolChoice
from tests.fakes import FakeBackend, deltas_of, saying
from tests.hostile_upstreams import HOSTILE
from tests.stub_server import DONE, chunk, event, stub_server, usage

QUICK = UpstreamTimeouts(connect=1.0, first_token=0.5, idle=0.5)
STREAMS = 10_000
MAX_CHARACTERS = 2**23

REQUEST = ChatRequest(
    "id",
    "m",
    (Message("user", "Hello"),),
    SamplingParams(logprobs=2),
    max_tokens=20,
    n=2,
    stop=("STOP",),
    tools=(Tool("f"), Tool("g")),
    tool_choice=ToolChoice("auto", ("f", "g")),
)
ENTRY = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -1, "bytes": [98]}]}


def logprobs(text: str) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text}, "logprobs": {"content": [ENTRY]}, "finish_reason": None}
    return {"choices": [choice]}


def call(index: int, **function: Any) -> bytes:
    return chunk(tool_calls=[{"index": index, "id": f"c{index}", "function": function}])


RECORDED: dict[str, list[bytes]] = {
    "vllm": [
        chunk("", role="assistant"),
        event(logprobs("a")),
        chunk("b", index=1),
        chunk(finish="stop"),
        chunk(finish="stop", index=1),
        usage(3, 4, prompt_tokens_details={"cached_tokens": 2}),
        DONE,
    ],
    "sglang": [
        chunk(reasoning_content="I think"),
        chunk("a ST"),
        chunk("x", index=1),
        chunk(finish="length", index=1),
        chunk("OP b"),
        usage(),
        DONE,
    ],
    "llama-server": [
        chunk("a"),
        event({"choices": [{"index": 1, "delta": {"content": "b"}}], "timings": {"prompt_n": 3, "predicted_n": 1}}),
        chunk(finish="stop"),
        chunk(finish="stop", index=1),
        DONE,
    ],
    "openai": [
        call(0, name="f", arguments=""),
        call(0, arguments='{"a"'),
        call(0, arguments=": 1}"),
        call(1, name="g", arguments="{}"),
        chunk("plain", index=1),
        chunk(finish="tool_calls"),
        chunk(finish="stop", index=1),
        usage(),
        DONE,
    ],
}
ODD: Sequence[Any] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, 1e308, -0.5, 0.1, "", "x", "STOP", "\x00", "\u202e", "é€😀"),
    *([], {}, [[]], {"a": {}}, [None], "x" * 5000, ["x"] * 50, {"index": 0}, "assistant", "stop", "length", "error"),
)
RAW: Sequence[bytes] = (
    *(b"1e999", b"-1e999", b"NaN", b"Infinity", b'"\\ud800"', b'"\xff"', b"[" * 2000, b'{"a":' * 2000, b"9" * 5000),
    *(b'"\\u0000"', b"\xef\xbb\xbf{}", b"tru", b'"', b"0x10", b"[" * 500 + b"]" * 500),
)


def mutate(stream: list[bytes], source: random.Random) -> list[bytes]:
    events = list(stream)
    for _ in range(source.choice((1, 1, 1, 2, 3, 5))):
        place = source.randrange(len(events))
        match source.randrange(8):
            case 0:
                events.insert(place, source.choice(events))
            case 1 if len(events) > 1:
                del events[place]
            case 2:
                source.shuffle(events)
            case 3:
                events[place] = flip_bytes(events[place], source)
            case 4:
                events[place] = events[place][: source.randrange(len(events[place]) + 1)]
            case 5:
                events[place] = b"data: " + source.choice(RAW) + b"\n\n"
            case _:
                events[place] = replace_value(events[place], source)
    return events


def flip_bytes(data: bytes, source: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(source.choice((1, 1, 4))):
        if out:
            out[source.randrange(len(out))] = source.randrange(256)
    return bytes(out)


def replace_value(data: bytes, source: random.Random) -> bytes:
    """Replaces one value in the event's JSON, possibly with bytes that aren't JSON."""
    try:
        value = json.loads(data.removeprefix(b"data: "))
    except (ValueError, RecursionError):
        return data
    holders = list(find_values(value))
    if not holders:
        return data
    holder, key = source.choice(holders)
    if source.random() < 0.3:
        holder[key] = "\x1araw\x1a"
        text = json.dumps(value).encode().replace(b'"\\u001araw\\u001a"', source.choice(RAW))
        return b"data: " + text + b"\n\n"
    holder[key] = source.choice(ODD)
    return event(value)


def find_values(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yields each nested value as its container and its key."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in list(pairs):
        yield value, key
        yield from find_values(each)


def split(data: bytes, source: random.Random) -> list[bytes]:
    """Splits the stream at random positions."""
    ends = sorted({source.randrange(len(data) + 1) for _ in range(source.choice((0, 1, 5)))} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def read_stream(parts: list[bytes]) -> list[Delta]:
    stream, deltas = UpstreamStream(REQUEST, "m"), []
    for part in parts:
        deltas += stream.feed(part)
        if stream.is_over:
            break
    return [*deltas, stream.finish()]


def check_deltas(deltas: list[Delta]) -> None:
    """Asserts the guarantees on which consumers of deltas rely."""
    finished: set[int] = set()
    begun: list[list[str]] = [[] for _ in range(REQUEST.n)]
    for delta in deltas:
        assert 0 <= delta.choice < REQUEST.n
        assert delta.choice not in finished, "nothing follows a choice's finish"
        assert all(isinstance(part, str) for part in (delta.text, delta.reasoning))
        (delta.text + delta.reasoning).encode()
        assert "STOP" not in delta.text
        for piece in delta.tool_calls:
            check_piece(piece, begun[delta.choice])
        for logprob in delta.logprobs:
            assert len(logprob.alternatives) <= 2
            assert logprob.logprob <= 0
            assert all(one.logprob <= 0 for one in logprob.alternatives)
        if delta.finish:
            finished.add(delta.choice)
    last = deltas[-1]
    assert finished == {0, 1}
    assert last.usage is not None
    assert 0 <= last.usage.cached_tokens <= last.usage.prompt_tokens
    assert 0 <= last.usage.completion_tokens <= 40
    assert sum(len(delta.text) for delta in deltas) <= MAX_CHARACTERS


def check_piece(piece: ToolCallDelta, begun: list[str]) -> None:
    """Asserts that a call begins with its id and name, without arguments, and that calls are numbered in order."""
    if piece.name:
        assert piece.name in ("f", "g")
        assert piece.id
        assert not piece.arguments
        begun.append(piece.id)
    assert 0 <= piece.index < len(begun)
    (piece.id + piece.arguments).encode()


@contextmanager
def note_on_failure(number: int, parts: list[bytes]) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        error.add_note(f"stream {number}: {parts!r}"[:5000])
        raise


def read_and_check(parts: list[bytes]) -> str:
    try:
        deltas = read_stream(parts)
    except UpstreamFailed as error:
        failed = error
    else:
        check_deltas(deltas)
        return "read"
    assert json.loads(error_json(failed))["error"]["message"]
    assert len(failed.message + failed.detail) < 1000
    return "refused"


@pytest.mark.parametrize("kind", RECORDED)
def test_the_recorded_streams_are_read_completely(kind: str) -> None:
    check_deltas(read_stream([b"".join(RECORDED[kind])]))


def test_mutated_streams_yield_valid_deltas_or_a_typed_error() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    source = random.Random(seed)
    outcomes = {"read": 0, "refused": 0}
    for number in range(STREAMS):
        parts = split(b"".join(mutate(source.choice(list(RECORDED.values())), source)), source)
        with note_on_failure(number, parts):
            outcomes[read_and_check(parts)] += 1
    assert min(outcomes.values()) > STREAMS / 10, outcomes


ENDLESS: dict[str, list[bytes]] = {
    "text": [chunk("x" * 100_000)],
    "ids of calls": [
        chunk(tool_calls=[{"index": index, "id": f"{index}{'x' * 900_000}", "function": {"name": "f"}}])
        for index in (0, 1)
    ],
    "log-probabilities": [event({"choices": [{"logprobs": {"content": [{**ENTRY, "token": "x"}] * 1000}}]})],
    "bytes of tokens": [event({"choices": [{"logprobs": {"content": [{"token": "x" * 100_000}]}}]})],
    "pieces": [chunk("x"), chunk("x", index=1)],
}


@pytest.mark.parametrize("events", ENDLESS.values(), ids=ENDLESS)
def test_an_endless_answer_is_refused(events: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oruel.backends.upstream_chunks.MAX_PIECES", 5000)
    stream = UpstreamStream(REQUEST, "m")
    with pytest.raises(UpstreamFailed, match=r"more than \d+ (characters|pieces|calls)"):
        feed_endlessly(stream, events)


def feed_endlessly(stream: UpstreamStream, events: list[bytes]) -> None:
    for one in islice(cycle(events), 50_000):
        stream.feed(one)


def test_endless_usage_reports_take_no_memory() -> None:
    stream, many = UpstreamStream(REQUEST, "m"), usage() * 1000
    tracemalloc.start()
    for _ in range(50):
        stream.feed(many)
    allocated, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert allocated < 1_000_000


ONE = replace(REQUEST, n=1, tools=(), tool_choice=ToolChoice(), stop=(), sampling=SamplingParams(reproducible=False))


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("script", HOSTILE.values(), ids=HOSTILE)
async def test_an_adversarial_server_counts_as_failed_and_another_answers(script: list[bytes]) -> None:
    async with stub_server(script) as stub, upstream_client() as client:
        bad = UpstreamBackend(client, stub.base_url, "oruel", model="m", upstream_model="m", timeouts=QUICK)
        routes = [route("bad", bad, stub.base_url, "1"), route("good", FakeBackend(saying("ok")), "http://x", "2")]
        router = Router(Catalog((ModelCard(name="m", context=512, vocabulary_size=100, created=0),)), {"m": routes})
        deltas = await deltas_of(router.stream(ONE))
        assert "".join(delta.text for delta in deltas) == "ok"
        alone = Router(Catalog((ModelCard(name="m", context=512, vocabulary_size=100, created=0),)), {"m": routes[:1]})
        assert routes[0].breaker.failures == routes[0].failed == 1
        with pytest.raises(OruelError) as failed:
            await deltas_of(alone.stream(ONE))
        shown = json.loads(error_json(failed.value))["error"]
        assert shown["message"]
        assert failed.value.status != 500


def route(name: str, backend: Backend, url: str, cost: str) -> Route:
    return Route(Deployment(name, UpstreamSource(url, "oruel", "m"), cost=Price(Decimal(cost))), backend)
