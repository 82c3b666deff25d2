"""One choice of an answer: tokens become text, calls and log-probabilities, up to its end. The methods of ToyServer are
split over this class and its subclass in toy_server.py; a planted defect overrides one of them.
"""

import codecs
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

from oruel.types import ChatRequest, Tool
from tests.verify.toy_json import Filler, free_object
from tests.verify.toy_model import CALL, CONTEXT, END, PIECES, Logits, Prompt, encode, logits_in, state_after
from tests.verify.toy_sampler import ToySampler

Json = dict[str, Any]


@dataclass(slots=True)
class Piece:
    """What one token adds to its choice. `calls` are in the shape of a stream's tool_calls. `thought` is text that the
    model writes before its answer.
    """

    text: str = ""
    thought: str = ""
    calls: list[Json] = field(default_factory=list)
    logprobs: list[Json] = field(default_factory=list)
    finish: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Tokens that are decided before the first of them is sent: a JSON document, or calls. `calls` maps the position of
    a token to the call that it begins or goes on with. `finish` applies if all the tokens fit.
    """

    ids: tuple[int, ...]
    finish: str
    calls: dict[int, Json] = field(default_factory=dict)


class StopReader:
    """Holds back text that could still become a stop sequence, and nothing more."""

    def __init__(self, stops: Sequence[str]) -> None:
        self.stops = stops
        self.held = ""

    def read(self, text: str) -> tuple[str, bool]:
        """The text to send, and whether a stop sequence has ended it."""
        before, self.held = len(self.held), self.held + text
        for end in range(before + 1, len(self.held) + 1):
            found = [stop for stop in self.stops if self.held.endswith(stop, 0, end)]
            if found:
                return self.held[: end - max(map(len, found))], True
        sizes = range(len(self.held), 0, -1)
        hold = next((size for size in sizes if any(stop.startswith(self.held[-size:]) for stop in self.stops)), 0)
        sent = self.held[: len(self.held) - hold]
        self.held = self.held[len(sent) :]
        return sent, False

    def rest(self) -> str:
        return self.held


class ToyChoices(ToySampler):
    stop_reader: type[StopReader] = StopReader

    def pieces(self, request: ChatRequest, prompt: Prompt, choice: int) -> Iterator[Piece]:
        """One piece for each token; the last one has the finish reason."""
        limit = self.limit(request, prompt)
        plan = self.plan(request, prompt, choice, limit)
        decoder = self.decoder()
        stops = self.stop_reader(request.stop)
        output: list[int] = []
        while True:
            token = self.next_token(request, prompt, output, choice, plan)
            piece = Piece(logprobs=self.logprobs(request, prompt, output, token))
            output.append(token)
            if plan and plan.calls:
                piece.calls = [plan.calls[len(output) - 1]] if len(output) - 1 in plan.calls else []
                stopped = False
            else:
                piece.text, stopped = stops.read(decoder.decode(PIECES[token]))
            ended = token == END or bool(plan and len(output) == len(plan.ids))
            if not stopped and (ended or len(output) == limit):
                text, stopped = stops.read(decoder.decode(b"", final=True))
                piece.text += text + ("" if stopped else stops.rest())
            if stopped or ended:
                piece.finish = "stop" if stopped or not plan else plan.finish
            elif len(output) == limit:
                piece.finish = "length"
            yield piece
            if piece.finish:
                return

    def decoder(self) -> codecs.IncrementalDecoder:
        return codecs.getincrementaldecoder("utf-8")("replace")

    def limit(self, request: ChatRequest, prompt: Prompt) -> int:
        room = CONTEXT - len(prompt.ids)
        return min(request.max_tokens or room, room)

    def next_token(
        self, request: ChatRequest, prompt: Prompt, output: Sequence[int], choice: int, plan: Plan | None
    ) -> int:
        return plan.ids[len(output)] if plan else self.choose(prompt, output, request.sampling, choice)

    def logprobs(self, request: ChatRequest, prompt: Prompt, output: Sequence[int], token: int) -> list[Json]:
        """OpenAI's entry for a token, from the model's own distribution. The end token has none."""
        top = request.sampling.logprobs
        if top is None or token == END:
            return []
        logs = self.reported(request, prompt, output)
        best = np.argsort(-logs, kind="stable")[:top].tolist()
        return [{**entry(token, logs[token]), "top_logprobs": [entry(id, logs[id]) for id in best]}]

    def reported(self, request: ChatRequest, prompt: Prompt, output: Sequence[int]) -> Logits:
        """The log-probabilities of all tokens."""
        logits = logits_in(state_after(prompt, output))
        shifted = logits - logits.max()
        return np.asarray(shifted - np.log(np.exp(shifted).sum()))

    def plan(self, request: ChatRequest, prompt: Prompt, choice: int, limit: int) -> Plan | None:
        seed = 0 if request.sampling.is_greedy else self.uniform(request.sampling.seed, choice, 0)
        random = Random(f"{seed} {prompt.digest}")
        tools = self.called(request, random)
        if tools:
            return call_plan([(tool.name, self.arguments(tool, random)) for tool in tools])
        return self.document_plan(request, random, limit) if request.answers_json else None

    def called(self, request: ChatRequest, random: Random) -> list[Tool]:
        """The functions that the model calls: two if the prompt says "and"."""
        last = request.messages[-1]
        tools = request.callable_tools
        if request.tool_choice.mode == "none" or not tools:
            return []
        if request.tool_choice.mode == "auto":
            words = last.content.lower()
            tools = tuple(tool for tool in tools if any(word in words for word in tool.name.lower().split("_")))
            if not tools or last.role == "tool":
                return []
        count = 2 if " and " in last.content and self.may_call_twice(request) else 1
        return [random.choice(tools) for _ in range(count)]

    def may_call_twice(self, request: ChatRequest) -> bool:
        return request.parallel_tool_calls

    def arguments(self, tool: Tool, random: Random) -> str:
        schema = {"type": "object", **tool.parameters}
        return json.dumps(Filler(schema, random).document())

    def document_plan(self, request: ChatRequest, random: Random, limit: int) -> Plan:
        """The document, or the smallest one if it doesn't fit."""
        schema = request.response_format.schema
        document = Filler(schema, random).document() if schema else free_object(random)
        ids = (*encode(json.dumps(document, ensure_ascii=False)), END)
        if len(ids) <= limit:
            return Plan(ids, "stop")
        small = Filler(schema, random, small=True).document()
        return Plan(encode(json.dumps(small, ensure_ascii=False, separators=(",", ":"))), "length")


def call_plan(calls: Sequence[tuple[str, str]]) -> Plan:
    ids: list[int] = []
    events: dict[int, Json] = {}
    for index, (name, arguments) in enumerate(calls):
        ids += [CALL, *encode(name)]
        function = {"name": name, "arguments": ""}
        events[len(ids) - 1] = {"index": index, "id": f"call_{index}", "type": "function", "function": function}
        for token in encode(arguments):
            ids.append(token)
            text = PIECES[token].decode(errors="replace")
            events[len(ids) - 1] = {"index": index, "function": {"arguments": text}}
    ids.append(END)
    return Plan(tuple(ids), "tool_calls", events)


def entry(token: int, log: float) -> Json:
    return {"token": PIECES[token].decode(errors="replace"), "logprob": float(log), "bytes": list(PIECES[token])}
