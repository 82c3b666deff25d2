"""Asks a server for a document of a schema, and says what became of it."""

import asyncio
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bench.load import Reply, chat, encode_request, parse_reply, receive
from bench.prompts import SAMPLING
from bench.schema_keywords import keywords_of
from bench.schema_kinds import SEED, Sample
from bench.schema_verdict import judge

MAX_TOKENS = 700
MOST_SECONDS = 60.0
DIFFERS = "x-oruel-differs"


class Outcome(StrEnum):
    VALID = "valid"
    SILENT = "wrong in silence"
    NAMED = "wrong, and the keyword named"
    REFUSED = "refused by name"
    UNCLOSED = "not JSON"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Answer:
    """`detail`: the keywords that the document breaks, or the server's message. `reply` has the times of a document,
    valid or not.
    """

    outcome: Outcome
    detail: str = ""
    reply: Reply | None = None
    is_alive: bool = True


@dataclass(frozen=True, slots=True)
class RawAnswer:
    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def parse(cls, data: bytes) -> "RawAnswer":
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("transfer-encoding") == "chunked":
            body = b"".join(chunks(body))
        return cls(int(first.split()[1]), headers, body)

    @property
    def events(self) -> Iterator[dict[str, Any]]:
        for line in self.body.split(b"\n"):
            if line.startswith(b"data: {"):
                yield json.loads(line[len(b"data: ") :])


def chunks(body: bytes) -> Iterator[bytes]:
    """The parts of a body in HTTP's chunked coding."""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        yield rest[:length]
        body = rest[length + 2 :]


def prompt_text(sample: Sample) -> str:
    return f"Write a JSON document with an example of: {sample.name}."


def schema_body(sample: Sample, model: str) -> dict[str, Any]:
    wanted = {"name": re.sub(r"\W", "_", sample.name), "schema": sample.schema}
    return text_body(prompt_text(sample), model) | {"response_format": {"type": "json_schema", "json_schema": wanted}}


def text_body(text: str, model: str) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": MAX_TOKENS,
        "seed": SEED,
        "stream": True,
        "stream_options": {"include_usage": True},
        **SAMPLING,
    }


def ask(port: int, sample: Sample, model: str) -> Answer:
    request = encode_request(schema_body(sample, model))
    try:
        stamps, reads = asyncio.run(asyncio.wait_for(receive(port, request), MOST_SECONDS))
    except TimeoutError:
        return Answer(Outcome.ERROR, f"no answer within {MOST_SECONDS:g} s", is_alive=False)
    except OSError as error:
        return Answer(Outcome.ERROR, f"the connection ended: {error!r}", is_alive=False)
    if not reads:
        return Answer(Outcome.ERROR, "the server ended", is_alive=False)
    raw = RawAnswer.parse(b"".join(reads))
    if raw.status != 200:
        return refused(raw, sample)
    events = list(raw.events)
    failures = [event["error"] for event in events if "error" in event]
    if failures:
        return Answer(Outcome.ERROR, json.dumps(failures[0]))
    try:
        reply = parse_reply(stamps, reads)
    except RuntimeError as error:
        return Answer(Outcome.ERROR, str(error))
    return judged(sample, document(events), raw.headers.get(DIFFERS, ""), reply)


def ask_for_text(port: int, text: str, model: str) -> Reply:
    """Without a schema. Raises RuntimeError like `chat`."""
    return asyncio.run(chat(port, text_body(text, model)))


def refused(raw: RawAnswer, sample: Sample) -> Answer:
    """A status 400 is a refusal by name if it says a keyword of the schema, or what llama.cpp and vLLM call one."""
    text = raw.body.decode(errors="replace")
    said = set(re.findall(r"[$\w]+", text.lower()))
    words = {keyword.lower() for keyword in keywords_of(sample.schema)} - {"type", "id"} | {"regex", "circular"}
    is_named = raw.status == 400 and bool(said & words)
    return Answer(Outcome.REFUSED if is_named else Outcome.ERROR, f"{raw.status} {text[:300]}")


def document(events: list[dict[str, Any]]) -> str:
    deltas = (choice["delta"] for event in events for choice in event.get("choices", ()))
    return "".join(delta.get("content") or "" for delta in deltas)


def judged(sample: Sample, text: str, differs: str, reply: Reply) -> Answer:
    outcome, detail = outcome_of(sample, text, re.findall(r"[$\w-]+", differs))
    return Answer(outcome, detail, reply)


def outcome_of(sample: Sample, text: str, named: Collection[str]) -> tuple[Outcome, str]:
    """What a document is worth, and why. `named`: the keywords that the server said it doesn't hold."""
    verdict = judge(sample.schema, text)
    if verdict.is_valid:
        return Outcome.VALID, ""
    if not verdict.is_json:
        return Outcome.UNCLOSED, f"… {text[-60:]!r}"
    return Outcome.NAMED if verdict.is_covered_by(named) else Outcome.SILENT, ", ".join(verdict.broken)
