"""A request as another server wants it: OpenAI's shape, what that kind names otherwise, and its edges mended."""

from collections.abc import Mapping
from typing import Any

from oruel.backends.abilities import has_seed, is_greedy
from oruel.types import ChatRequest, Message, ResponseFormat, SamplingParams, Tool, ToolChoice, UpstreamKind


def upstream_body(request: ChatRequest, kind: UpstreamKind, model: str) -> dict[str, Any]:
    """Always streamed. Everything that has a default of its own on the other side is sent."""
    body = {
        "model": model,
        "messages": [message_body(message) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "n": request.n,
        **sampling_body(request, kind),
        **length_body(request, kind),
        **tools_body(request),
        **format_body(request.response_format),
    }
    if request.chat_template_kwargs:
        body["chat_template_kwargs"] = dict(request.chat_template_kwargs)
    if kind == "oruel":
        body["tier"] = request.tier
    return body


def message_body(message: Message) -> dict[str, Any]:
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in message.tool_calls
    ]
    more = {
        "name": message.name if message.role != "tool" else None,
        "reasoning_content": message.reasoning_content,
        "tool_calls": calls or None,
        "tool_call_id": message.tool_call_id,
    }
    return {"role": message.role, "content": message.content} | {name: value for name, value in more.items() if value}


def sampling_body(request: ChatRequest, kind: UpstreamKind) -> dict[str, Any]:
    sampling = request.sampling
    body: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        **beyond_openai(sampling, kind),
    }
    if is_greedy(request) or sampling.top_p == 0:
        # One token is left, which every server takes temperature 0 for; some refuse a top_p of 0.
        body |= {"temperature": 0.0, "top_p": 1.0}
    if has_seed(request):
        body["seed"] = sampling.seed
    if sampling.logit_bias:
        body["logit_bias"] = {str(token): bias for token, bias in sampling.logit_bias.items()}
    if sampling.logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": sampling.logprobs}
    return body


def beyond_openai(sampling: SamplingParams, kind: UpstreamKind) -> Mapping[str, Any]:
    """Under the names of each kind, and with what it takes for unset: some have defaults that filter."""
    match kind:
        case "openai":
            return {}
        case "llama-server":
            return {"top_k": sampling.top_k, "min_p": sampling.min_p, "repeat_penalty": sampling.repetition_penalty}
        case "vllm" | "sglang":
            top_k = sampling.top_k or -1
            return {"top_k": top_k, "min_p": sampling.min_p, "repetition_penalty": sampling.repetition_penalty}
        case "oruel":
            top_k = sampling.top_k
            return {"top_k": top_k, "min_p": sampling.min_p, "repetition_penalty": sampling.repetition_penalty}


def length_body(request: ChatRequest, kind: UpstreamKind) -> dict[str, Any]:
    name = "max_completion_tokens" if kind == "openai" else "max_tokens"
    length = {} if request.max_tokens is None else {name: request.max_tokens}
    return length | ({"stop": list(request.stop)} if request.stop else {})


def tools_body(request: ChatRequest) -> dict[str, Any]:
    if request.tool_choice.mode == "none":
        return {}
    return {
        "tools": [tool_body(tool) for tool in request.tools],
        "tool_choice": choice_body(request.tool_choice, request.tools),
        "parallel_tool_calls": request.parallel_tool_calls,
    }


def tool_body(tool: Tool) -> dict[str, Any]:
    parameters = dict(tool.parameters) or {"type": "object", "properties": {}}
    function = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": function | ({"strict": True} if tool.strict else {})}


def choice_body(choice: ToolChoice, tools: tuple[Tool, ...]) -> Any:
    if choice.mode == "required" and len(choice.names) < len(tools):
        return {"type": "function", "function": {"name": choice.names[0]}}
    return choice.mode


def format_body(wanted: ResponseFormat) -> dict[str, Any]:
    if wanted.type == "json_schema":
        schema = {"name": "answer", "schema": dict(wanted.schema), "strict": wanted.strict}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    return {} if wanted.type == "text" else {"response_format": {"type": wanted.type}}
