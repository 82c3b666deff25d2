"""JSON and schemas: seconds per document compared with the C++ server, and the cost of a constraint per token."""

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.load import chat, chat_concurrently
from bench.prompts import SAMPLING, Prompts
from bench.rounds import both_servers, measure_in_turn
from bench.row import Row
from bench.servers import ServerProcess, Setting, oruel_server
from oruel.constraints.json_object import JsonObjectConstraint
from oruel.constraints.tokens import TokenTable
from oruel.llama.model import Model
from oruel.sampling.candidates import Candidates
from oruel.sampling.mask import Mask

WORD = {"type": "string", "pattern": "^[a-z]{4,12}$"}
PERSON = {
    "type": "object",
    "properties": {
        "name": WORD,
        "age": {"type": "integer", "minimum": 10, "maximum": 99},
        "email": {"type": "string", "pattern": "^[a-z]{4,8}@[a-z]{4,8}\\.com$"},
        "active": {"type": "boolean"},
        "role": {"enum": ["admin", "editor", "reader"]},
        "address": {
            "type": "object",
            "properties": {"street": WORD, "zip": {"type": "string", "pattern": "^[0-9]{5}$"}},
            "required": ["street", "zip"],
            "additionalProperties": False,
        },
        "tags": {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "minItems": 2, "maxItems": 2},
        "score": {"type": "integer", "minimum": 100, "maximum": 999},
        "note": WORD,
    },
    "required": ["name", "age", "email", "active", "role", "address", "tags", "score", "note"],
    "additionalProperties": False,
}
RUNS = 9
OBJECT = {"type": "json_object"}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}


def adversarial_schema(round_: int) -> dict[str, Any]:
    """A schema with many states and a long minimal document. It differs in each round, since schemas are cached."""
    values = [f"value number {number} of many in {round_}" for number in range(7_000)]
    properties = {
        "one": {"enum": values},
        "other": {"type": "array", "items": {"type": "integer"}, "minItems": 10**6 + round_},
    }
    return {"type": "object", "properties": properties, "required": ["one", "other"]}


def document_rows(name: str, model: Path, threads: int, streams: int, rounds: int) -> Iterator[Row]:
    with both_servers(Setting(model, threads, streams, context=1024)) as servers:
        for what, body in (
            ("64 tokens of a JSON object", endless_object_request(model)),
            ("nine-property schema", person_request()),
        ):
            measure = partial(seconds, streams=streams, body=body)
            ours, theirs = measure_in_turn(*servers, rounds, measure)
            yield Row(f"{name}, {streams} streams: {what}", "s", ours, theirs, target=1.0)


def seconds(server: ServerProcess, round_: int, *, streams: int, body: dict[str, Any]) -> float:
    """Seconds until all streams have their document. The median of several runs, since one takes only some 10 ms."""
    runs = [asyncio.run(chat_concurrently(server.port, [body] * streams)) for _ in range(RUNS)]
    return median(max(reply.seconds for reply in run) for run in runs)


def person_request() -> dict[str, Any]:
    return json_request(SCHEMA, max_tokens=400)


def endless_object_request(model: Path) -> dict[str, Any]:
    """A JSON object that never ends: tokens with a closing brace are biased away, so that both servers keep writing."""
    with Model(model, vocabulary_only=True) as loaded:
        vocabulary = loaded.vocabulary
        closing = {str(token): -100 for token in range(vocabulary.size) if b"}" in vocabulary.piece(token)}
    return json_request(OBJECT, max_tokens=64, logit_bias=closing)


def json_request(response_format: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "model": "bench",
        "messages": [{"role": "user", "content": "Describe a person in JSON."}],
        "response_format": response_format,
        "stream": True,
        "stream_options": {"include_usage": True},
        **SAMPLING,
        **more,
    }


def token_rows(name: str, model: Path, threads: int, rounds: int) -> Iterator[Row]:
    """A token in JSON mode vs. a token of free text, in ms; and the gaps of a stream while a schema is compiled."""
    prompts = Prompts(model, seed=5)
    with oruel_server(Setting(model, threads, parallel=4)) as server:
        pairs = [token_times(server, prompts) for _ in range(rounds + 1)][1:]
        constrained, free = zip(*pairs, strict=True)
        yield Row(f"{name}: a token in JSON mode vs. free text", "ms", constrained, free, target=0.95)
        gaps = [gaps_during_compilation(server, prompts, round_) for round_ in range(rounds + 1)][1:]
        compiling, idle = zip(*gaps, strict=True)
        yield Row(f"{name}: longest gap of a stream while an adversarial schema is compiled", "ms", compiling, idle)


def token_times(server: ServerProcess, prompts: Prompts) -> tuple[float, float]:
    text = f"JSON {prompts.text(40)}"
    constrained, free = (
        asyncio.run(chat(server.port, prompts.body(text, max_tokens=64, **more)))
        for more in ({"response_format": OBJECT}, {})
    )
    return 1000 * median(constrained.gaps), 1000 * median(free.gaps)


def gaps_during_compilation(server: ServerProcess, prompts: Prompts, round_: int) -> tuple[float, float]:
    async def run(is_disturbed: bool) -> float:
        stream = asyncio.create_task(chat(server.port, prompts.body(prompts.text(40), max_tokens=100)))
        await asyncio.sleep(0.5)
        if is_disturbed:
            wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": adversarial_schema(round_)}}
            await chat(server.port, prompts.body("JSON", max_tokens=1, response_format=wanted))
        return 1000 * max((await stream).gaps)

    return asyncio.run(run(True)), asyncio.run(run(False))


def mask_rows(model: Path, rounds: int) -> Iterator[Row]:
    """The time to build a JSON mask and to apply it, with the model's vocabulary."""
    with Model(model, vocabulary_only=True) as loaded:
        tokens = TokenTable(loaded.vocabulary)
        tokens.prepare()
        row = np.random.default_rng(1).normal(size=tokens.size).astype(np.float32)
        built, applied = zip(*(mask_times(tokens, row) for _ in range(rounds)), strict=True)
        yield Row(f"vocabulary {tokens.size:,}: building a JSON mask, vs. applying it", "µs", built, applied)


def mask_times(tokens: TokenTable, row: np.ndarray[tuple[int], np.dtype[np.float32]]) -> tuple[float, float]:
    constraint = JsonObjectConstraint(tokens, 1000)
    for byte in b'{"a':
        constraint.accept(tokens.single[byte])
    mask, built, applied = Mask(constraint), [], []
    for _ in range(50):
        start = time.perf_counter()
        constraint.mask()
        middle = time.perf_counter()
        mask(Candidates(None, row))
        built.append(1e6 * (middle - start))
        applied.append(1e6 * (time.perf_counter() - middle))
    return median(built), median(applied)
