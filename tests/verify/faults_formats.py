"""Planted defects of JSON mode and tools."""

import json
from collections.abc import Iterator
from dataclasses import replace
from random import Random

from oruel.types import ChatRequest, ResponseFormat, Tool, ToolChoice
from tests.verify.planted import planted
from tests.verify.toy_choice import Piece, Plan
from tests.verify.toy_model import CONTEXT, END, Prompt, encode
from tests.verify.toy_sampler import has_penalties
from tests.verify.toy_server import ToyServer


@planted("json_object", "not JSON")
class JsonIgnored(ToyServer):
    """transformers serve logs response_format and ignores it."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return replace(request, response_format=ResponseFormat())


@planted("json_object", "fence")
class JsonFenced(ToyServer):
    """The document comes in a Markdown code block."""

    def document_plan(self, request: ChatRequest, random: Random, limit: int) -> Plan:
        plan = super().document_plan(request, random, limit - 8)
        return Plan((*encode("```json\n"), *plan.ids[:-1], *encode("\n```"), END), plan.finish)


@planted("json_object.small_budget", "cut")
class JsonTruncated(ToyServer):
    """Every engine: the document is cut where max_tokens ends."""

    def document_plan(self, request: ChatRequest, random: Random, limit: int) -> Plan:
        return super().document_plan(request, random, CONTEXT)


@planted("json_object.penalties", "not JSON")
class JsonLostWithPenalties(ToyServer):
    """A second code path for penalties forgets the constraint."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return replace(request, response_format=ResponseFormat()) if has_penalties(request.sampling) else request


@planted("json_schema", "schema")
class SchemaIgnored(ToyServer):
    """json_schema is served as json_object."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        if request.response_format.type == "text":
            return request
        return replace(request, response_format=ResponseFormat("json_object"))


@planted("tools.named", "ignored")
class NamedToolIgnored(ToyServer):
    """llama.cpp turns a named tool_choice into auto; Ollama drops it."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        choice = request.tool_choice
        if choice.mode != "required" or len(choice.names) == len(request.tools):
            return request
        return replace(request, tool_choice=ToolChoice("auto", tuple(tool.name for tool in request.tools)))


@planted("tools.named", "another")
class NamedToolWrong(ToyServer):
    """A named function is taken as required, so that any function may be called."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        names = tuple(tool.name for tool in request.tools)
        return replace(request, tool_choice=replace(request.tool_choice, names=names))


@planted("tools.required", "ignored")
class RequiredIgnored(ToyServer):
    def adjusted(self, request: ChatRequest) -> ChatRequest:
        choice = request.tool_choice
        if choice.mode != "required" or len(choice.names) != len(request.tools):
            return request
        return replace(request, tool_choice=replace(choice, mode="none"))


@planted("tools.none", "call")
class NoneStillCalls(ToyServer):
    """ollama#17921."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        if request.tool_choice.mode != "none" or not request.tools:
            return request
        return replace(request, tool_choice=ToolChoice("auto", tuple(tool.name for tool in request.tools)))


@planted("tools.arguments", "schema")
class ArgumentsMismatch(ToyServer):
    """The arguments are JSON, but don't match the declared schema."""

    def arguments(self, tool: Tool, random: Random) -> str:
        return json.dumps({"input": "anything"})


@planted("tools.arguments", "JSON")
class ArgumentsNotJson(ToyServer):
    """Python's notation of a dictionary."""

    def arguments(self, tool: Tool, random: Random) -> str:
        return str(json.loads(super().arguments(tool, random)))


@planted("tools.parallel", "ignored")
class ParallelIgnored(ToyServer):
    """Ollama drops parallel_tool_calls."""

    def may_call_twice(self, request: ChatRequest) -> bool:
        return True


@planted("tools.finish_reason", "tool_calls")
class CallsFinishAsStop(ToyServer):
    def pieces(self, request: ChatRequest, prompt: Prompt, choice: int) -> Iterator[Piece]:
        for piece in super().pieces(request, prompt, choice):
            piece.finish = "stop" if piece.finish == "tool_calls" else piece.finish
            yield piece


@planted("tools.cut", "tool_calls")
class CutCallsFinishAsCalls(ToyServer):
    """vllm#53269: a call that max_tokens cuts is reported as complete."""

    def pieces(self, request: ChatRequest, prompt: Prompt, choice: int) -> Iterator[Piece]:
        called = False
        for piece in super().pieces(request, prompt, choice):
            called = called or bool(piece.calls)
            piece.finish = "tool_calls" if called and piece.finish == "length" else piece.finish
            yield piece
