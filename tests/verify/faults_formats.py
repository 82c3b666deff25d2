"""Planted defects of JSON mode and tools."""

import json
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

from oruel.api.chat.body import ChatCall
from oruel.errors import ServerError
from oruel.types import ChatRequest, ResponseFormat, Tool, ToolChoice
from tests.verify.planted import planted, with_sampling
from tests.verify.toy_choice import Piece, Plan
from tests.verify.toy_model import CONTEXT, END, Prompt, encode
from tests.verify.toy_sampler import has_penalties
from tests.verify.toy_server import ToyServer


@planted("response_format.json_object", "ignored: the text isn't a JSON object")
class JsonIgnored(ToyServer):
    """transformers serve logs response_format and ignores it."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return replace(request, response_format=ResponseFormat())


@planted("response_format.json_object", "the document is wrapped in Markdown")
class JsonFenced(ToyServer):
    """The document comes in a Markdown code block."""

    def document_plan(self, request: ChatRequest, random: Random, limit: int) -> Plan:
        plan = super().document_plan(request, random, limit - 8)
        return Plan((*encode("```json\n"), *plan.ids[:-1], *encode("\n```"), END), plan.finish)


@planted("response_format.json_object", "some answers fail with status 500")
class JsonFailsAtTimes(ToyServer):
    """llama.cpp's server: its parser doesn't accept all that its grammar lets the model write."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        if request.response_format.type != "text" and request.sampling.seed % 2:
            raise ServerError("The model produced output that does not match the expected format.")
        return request


@planted("response_format.json_object_cut", "a document cut by max_tokens isn't closed")
class JsonTruncated(ToyServer):
    """Every engine: the document is cut where max_tokens ends."""

    def document_plan(self, request: ChatRequest, random: Random, limit: int) -> Plan:
        return super().document_plan(request, random, CONTEXT)


@planted("response_format.json_schema", "the text isn't a JSON object")
class JsonLostWithPenalties(ToyServer):
    """A second code path for penalties forgets the constraint."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return replace(request, response_format=ResponseFormat()) if has_penalties(request.sampling) else request


@planted("response_format.json_schema", "the schema is broken")
class SchemaIgnored(ToyServer):
    """json_schema is served as json_object."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        if request.response_format.type == "text":
            return request
        return replace(request, response_format=ResponseFormat("json_object"))


@planted("tool_choice.named", "ignored: the named function isn't called")
class NamedToolIgnored(ToyServer):
    """llama.cpp turns a named tool_choice into auto; Ollama drops it."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        choice = request.tool_choice
        if choice.mode != "required" or len(choice.names) == len(request.tools):
            return request
        return replace(request, tool_choice=ToolChoice("auto", tuple(tool.name for tool in request.tools)))


@planted("tool_choice.named", "another function than the named one is called")
class NamedToolWrong(ToyServer):
    """A named function is taken as required, so that any function may be called."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        names = tuple(tool.name for tool in request.tools)
        return replace(request, tool_choice=replace(request.tool_choice, names=names))


@planted("tool_choice.required", "ignored: no function is called")
class RequiredIgnored(ToyServer):
    def adjusted(self, request: ChatRequest) -> ChatRequest:
        choice = request.tool_choice
        if choice.mode != "required" or len(choice.names) != len(request.tools):
            return request
        return replace(request, tool_choice=replace(choice, mode="none"))


@planted("tool_choice.required", "no call begins within 200 tokens, only text comes")
class RequiredWritesOn(ToyServer):
    """llama.cpp's server, with some chat templates: the text may not end without a call, but doesn't come to one."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        choice = request.tool_choice
        if choice.mode != "required":
            return request
        return replace(
            with_sampling(request, logit_bias={END: -100.0}, frequency_penalty=1.0),
            tool_choice=replace(choice, mode="none"),
        )


@planted("tool_choice.none", "ignored: a function is called")
class NoneStillCalls(ToyServer):
    """ollama#17921."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        if request.tool_choice.mode != "none" or not request.tools:
            return request
        return replace(request, tool_choice=ToolChoice("auto", tuple(tool.name for tool in request.tools)))


@planted("tools.arguments", "arguments: ")
class ArgumentsMismatch(ToyServer):
    """The arguments are JSON, but don't match the declared schema."""

    def arguments(self, tool: Tool, random: Random) -> str:
        return json.dumps({"input": "anything"})


@planted("tools.arguments", "arguments: it isn't valid JSON")
class ArgumentsNotJson(ToyServer):
    """Python's notation of a dictionary."""

    def arguments(self, tool: Tool, random: Random) -> str:
        return str(json.loads(super().arguments(tool, random)))


@planted("parallel_tool_calls", "ignored: false still gives several calls")
class ParallelIgnored(ToyServer):
    """Ollama drops parallel_tool_calls."""

    def may_call_twice(self, request: ChatRequest) -> bool:
        return True


@planted("tools.finish_reason", "finish_reason is stop after a call")
class CallsFinishAsStop(ToyServer):
    def pieces(self, request: ChatRequest, prompt: Prompt, choice: int) -> Iterator[Piece]:
        for piece in super().pieces(request, prompt, choice):
            piece.finish = "stop" if piece.finish == "tool_calls" else piece.finish
            yield piece


@planted("tools.truncated", "finish_reason is tool_calls after a call that max_tokens cuts")
class CutCallsFinishAsCalls(ToyServer):
    """vllm#53269: a call that max_tokens cuts is reported as complete."""

    def pieces(self, request: ChatRequest, prompt: Prompt, choice: int) -> Iterator[Piece]:
        called = False
        for piece in super().pieces(request, prompt, choice):
            called = called or bool(piece.calls)
            piece.finish = "tool_calls" if called and piece.finish == "length" else piece.finish
            yield piece


@planted("response_format.json_object", "white space fills the budget")
class JsonPadded(ToyServer):
    """ollama#2577, vllm#4093: white space between tokens is allowed without end."""

    def document_plan(self, request: ChatRequest, random: Random, limit: int) -> Plan:
        return Plan((*encode("{" + " \n" * limit), END), "stop")


@planted("response_format.mention", "accepted, although no message mentions JSON")
class JsonUnmentioned(ToyServer):
    """All engines."""

    def read(self, body: Any) -> ChatCall:
        wanted = body.get("response_format")
        if wanted != {"type": "json_object"}:
            return super().read(body)
        call = super().read({name: value for name, value in body.items() if name != "response_format"})
        return replace(call, request=replace(call.request, response_format=ResponseFormat("json_object")))
