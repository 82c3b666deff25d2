"""Held-out classes and functions, asked for as clients do and constrained as the server constrains them."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from oruel.types import ChatRequest, ResponseFormat, SamplingParams
from training.answers import ExportedModel, build_request
from training.families import parse_call, parse_json
from training.held_out_forms import CLASSES, FUNCTIONS, HeldOut
from training.phrases import Conversation

TEMPERATURES = (0.0, 0.7)
MAX_TOKENS = 300
OFFERED = 3


@dataclass(frozen=True)
class Trial:
    """`expected` is the document, or the call with `name` and `arguments`."""

    request: ChatRequest
    expected: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """`ended`: the finish_reason is stop or tool_calls."""

    ended: bool
    is_right: bool
    description: str


def document_request(held_out: HeldOut, conversation: Conversation) -> ChatRequest:
    wanted = ResponseFormat("json_schema", held_out.signature.schema, strict=True, name=held_out.signature.name)
    return replace(build_request(conversation), response_format=wanted)


def documents() -> Iterator[Trial]:
    for held_out in CLASSES:
        yield Trial(document_request(held_out, [("user", held_out.question)]), held_out.answer)


def documents_with_schema() -> Iterator[Trial]:
    """The prompt tells the schema."""
    for held_out in CLASSES:
        schema = json.dumps(held_out.signature.schema, ensure_ascii=False)
        asked: Conversation = [("system", f"Answer in JSON with this schema: {schema}"), ("user", held_out.question)]
        yield Trial(document_request(held_out, asked), held_out.answer)


def calls() -> Iterator[Trial]:
    """Each function is declared together with others, and the model decides whether to call one."""
    for index, held_out in enumerate(FUNCTIONS):
        offered = [FUNCTIONS[(index + step) % len(FUNCTIONS)].declared for step in range(OFFERED)]
        offered = offered[index % OFFERED :] + offered[: index % OFFERED]
        asked: Conversation = [("tools", json.dumps(offered)), ("user", held_out.question)]
        yield Trial(build_request(asked), {"name": held_out.signature.name, "arguments": held_out.answer})


TRIALS: dict[str, Callable[[], Iterator[Trial]]] = {
    "forms: held-out classes": documents,
    "forms: held-out classes, schema in the prompt": documents_with_schema,
    "forms: held-out functions": calls,
}


def outcome(exported: ExportedModel, trial: Trial, temperature: float) -> Outcome:
    request = replace(trial.request, sampling=SamplingParams(temperature=temperature, seed=1))
    answer, ended = exported.respond(request, MAX_TOKENS)
    found = parse_call(answer) if request.tools else parse_json(answer)
    description = f"{request.messages[-1].content!r}: {answer!r} for {json.dumps(trial.expected, ensure_ascii=False)}"
    return Outcome(ended and bool(found or not request.tools), ended and found == trial.expected, description)
