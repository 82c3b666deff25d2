"""JSON and schemas: seconds for a document beside the C++ server, and what holding a text to a form costs a token."""

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.load import chat, together
from bench.prompts import SAMPLING, Prompts
from bench.rounds import both, in_turn
from bench.row import Row
from bench.servers import Served, Setting, oruel
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


def hostile(round_: int) -> dict[str, Any]:
    """Many states, and a long way to the end; another in each round, since schemas are remembered."""
    values = [f"value number {number} of many in {round_}" for number in range(7_000)]
    properties = {
        "one": {"enum": values},
        "other": {"type": "array", "items": {"type": "integer"}, "minItems": 10**6 + round_},
    }
    return {"type": "object", "properties": properties, "required": ["one", "other"]}


def document_rows(name: str, model: Path, threads: int, streams: int, rounds: int) -> Iterator[Row]:
    with both(Setting(model, threads, streams, context=1024)) as servers:
        for what, body in (("64 tokens of a JSON object", endless_object(model)), ("nine-property schema", person())):
            measure = partial(seconds, streams=streams, body=body)
            ours, theirs = in_turn(*servers, rounds, measure)
            yield Row(f"{name}, {streams} streams: {what}", "s", ours, theirs, target=1.0)


def seconds(server: Served, round_: int, *, streams: int, body: dict[str, Any]) -> float:
    """Until each stream has its document; the median of several, since one takes a few hundredths of a second."""
    runs = [asyncio.run(together(server.port, [body] * streams)) for _ in range(RUNS)]
    return median(max(reply.seconds for reply in run) for run in runs)


def person() -> dict[str, Any]:
    return asking(SCHEMA, max_tokens=400)


def endless_object(model: Path) -> dict[str, Any]:
    """Free objects are of any length: here no token with a closing brace is chosen, so that both servers write on."""
    with Model(model, vocabulary_only=True) as loaded:
        vocabulary = loaded.vocabulary
        closing = {str(token): -100 for token in range(vocabulary.size) if b"}" in vocabulary.piece(token)}
    return asking(OBJECT, max_tokens=64, logit_bias=closing)


def asking(wanted: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "model": "bench",
        "messages": [{"role": "user", "content": "Describe a person in JSON."}],
        "response_format": wanted,
        "stream": True,
        "stream_options": {"include_usage": True},
        **SAMPLING,
        **more,
    }


def token_rows(name: str, model: Path, threads: int, rounds: int) -> Iterator[Row]:
    """A token in JSON mode beside a token of free text, in ms; and the gaps of others while a schema is compiled."""
    prompts = Prompts(model, seed=5)
    with oruel(Setting(model, threads, parallel=4)) as server:
        pairs = [token_times(server, prompts) for _ in range(rounds + 1)][1:]
        held, free = zip(*pairs, strict=True)
        yield Row(f"{name}: a token in JSON mode beside free text", "ms", held, free, target=0.95)
        gaps = [gaps_beside_hostile(server, prompts, round_) for round_ in range(rounds + 1)][1:]
        beside, calm = zip(*gaps, strict=True)
        yield Row(f"{name}: longest gap of a stream while a hostile schema is compiled", "ms", beside, calm)


def token_times(server: Served, prompts: Prompts) -> tuple[float, float]:
    text = f"JSON {prompts.text(40)}"
    held, free = (
        asyncio.run(chat(server.port, prompts.body(text, max_tokens=64, **more)))
        for more in ({"response_format": OBJECT}, {})
    )
    return 1000 * median(held.gaps), 1000 * median(free.gaps)


def gaps_beside_hostile(server: Served, prompts: Prompts, round_: int) -> tuple[float, float]:
    async def run(is_disturbed: bool) -> float:
        stream = asyncio.create_task(chat(server.port, prompts.body(prompts.text(40), max_tokens=100)))
        await asyncio.sleep(0.5)
        if is_disturbed:
            wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": hostile(round_)}}
            await chat(server.port, prompts.body("JSON", max_tokens=1, response_format=wanted))
        return 1000 * max((await stream).gaps)

    return asyncio.run(run(True)), asyncio.run(run(False))


def mask_rows(model: Path, rounds: int) -> Iterator[Row]:
    """What a mask costs at the model's vocabulary, made and applied, beside llama.cpp's filling of its candidates."""
    with Model(model, vocabulary_only=True) as loaded:
        tokens = TokenTable(loaded.vocabulary)
        tokens.prepare()
        row = np.random.default_rng(1).normal(size=tokens.size).astype(np.float32)
        made, applied = zip(*(mask_times(tokens, row) for _ in range(rounds)), strict=True)
        yield Row(f"vocabulary {tokens.size:,}: a JSON mask made, beside made and applied", "µs", made, applied)


def mask_times(tokens: TokenTable, row: np.ndarray[tuple[int], np.dtype[np.float32]]) -> tuple[float, float]:
    constraint = JsonObjectConstraint(tokens, 1000)
    for byte in b'{"a':
        constraint.accept(tokens.single[byte])
    mask, made, applied = Mask(constraint), [], []
    for _ in range(50):
        start = time.perf_counter()
        constraint.mask()
        middle = time.perf_counter()
        mask(Candidates(None, row))
        made.append(1e6 * (middle - start))
        applied.append(1e6 * (time.perf_counter() - middle))
    return median(made), median(applied)
