"""Translates a request into the body of a chat completion request for each kind of upstream server."""

from typing import Any

from oruel.backends.abilities import has_seed
from oruel.types import ChatRequest, Message, ResponseFormat, SamplingParams, Tool, ToolChoice, UpstreamKind

MAX_CHOICES = 8
# llama-server's samplers in the order of the contract. By default, it applies the temperature last.
SAMPLERS = ("penalties", "temperature", "top_k", "top_p", "min_p")
# llama-server's penalties cover 64 tokens by default. They have to cover the largest max_tokens.
PENALTY_WINDOW = 131072
# Below this temperature, llama-server's logits overflow. At this one, it draws only the most probable tokens.
MIN_TEMPERATURE = 1e-30
# These servers may use only the lower 32 bits of a seed (vLLM on a CPU does). They get it modulo a limit that is no
# power of two, so that every bit counts.
SEED_LIMIT = 2**32 - MAX_CHOICES
SHORT_SEEDS: tuple[UpstreamKind, ...] = ("vllm", "llama-server")
# The contract's largest top_logprobs, and vLLM's by default.
MAX_ALTERNATIVES = 20


def upstream_body(request: ChatRequest, kind: UpstreamKind, model: str) -> dict[str, Any]:
    """The body always asks for a stream, and sets every parameter for which the server has a default of its own."""
    body = {
        "model": model,
        "messages": [message_body(message, kind) for message in request.messages],
        "stream": True,
        **usage_body(kind),
        "n": request.n,
        **sampling_body(request, kind),
        **length_body(request, kind),
        **tools_body(request, kind),
        **format_body(request.response_format),
    }
    if request.chat_template_kwargs:
        body["chat_template_kwargs"] = dict(request.chat_template_kwargs)
    if kind == "oruel":
        body["tier"] = request.tier
    return body


def message_body(message: Message, kind: UpstreamKind) -> dict[str, Any]:
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in message.tool_calls
    ]
    optional = {
        "name": message.name if message.role != "tool" else None,
        "reasoning_content": message.reasoning_content if kind != "openai" else None,
        "tool_calls": calls or None,
        "tool_call_id": message.tool_call_id,
    }
    return {"role": message.role, "content": message.content} | {
        name: value for name, value in optional.items() if value
    }


def supports_stop(kind: UpstreamKind) -> bool:
    """Whether to send the stop strings. The other kinds would also search reasoning and tool calls for them, so Oru'el
    cuts their answers itself.
    """
    return kind in ("openai", "oruel")


def usage_body(kind: UpstreamKind) -> dict[str, Any]:
    """Asks for the usage, with each chunk if the server can report it: a stop string may cut the answer, and its caller
    may leave.
    """
    options = {"include_usage": True}
    if kind in ("openai", "oruel"):
        return {"stream_options": options}
    if kind == "llama-server":
        return {"stream_options": options, "timings_per_token": True}
    return {"stream_options": options | {"continuous_usage_stats": True}}


def sampling_body(request: ChatRequest, kind: UpstreamKind) -> dict[str, Any]:
    sampling = request.sampling
    body: dict[str, Any] = {
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        **(greedy_body(request, kind) if sampling.is_greedy else stochastic_body(sampling, kind)),
    }
    if kind != "openai":
        body["repeat_penalty" if kind == "llama-server" else "repetition_penalty"] = sampling.repetition_penalty
    if kind == "llama-server":
        body |= {
            "samplers": SAMPLERS,
            "repeat_last_n": PENALTY_WINDOW,
            "mirostat": 0,
            "dynatemp_range": 0.0,
            "min_keep": 0,
        }
    if has_seed(request):
        body["seed"] = upstream_seed(kind, sampling.seed)
    if sampling.logit_bias:
        body["logit_bias"] = {str(token): bias for token, bias in sampling.logit_bias.items()}
    if sampling.logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": upstream_alternatives(kind, sampling.logprobs)}
    return body


def greedy_body(request: ChatRequest, kind: UpstreamKind) -> dict[str, Any]:
    """Uses temperature 0, which every server supports for greedy decoding, unlike top_p 0. vLLM refuses temperature 0
    with n > 1, but supports top_k 1.
    """
    if kind == "vllm" and request.n > 1:
        return {"temperature": 1.0, "top_p": 1.0, "top_k": 1, "min_p": 0.0}
    return {"temperature": 0.0, "top_p": 1.0} | ({} if kind == "openai" else {"top_k": unset_top_k(kind), "min_p": 0.0})


def stochastic_body(sampling: SamplingParams, kind: UpstreamKind) -> dict[str, Any]:
    temperature = sampling.temperature
    if kind == "llama-server":
        temperature = max(temperature, MIN_TEMPERATURE)
    body = {"temperature": temperature, "top_p": sampling.top_p}
    if kind != "openai":
        body |= {"top_k": sampling.top_k or unset_top_k(kind), "min_p": sampling.min_p}
    return body


def unset_top_k(kind: UpstreamKind) -> int:
    return -1 if kind in ("vllm", "sglang") else 0


def upstream_alternatives(kind: UpstreamKind, wanted: int) -> int:
    """A top_logprobs for which the server sends at least the wanted entries. llama-server reports no log-probabilities
    for 0. vLLM counts the chosen token as one of the entries, whether or not it is among the most probable ones.
    """
    if kind == "llama-server":
        return max(wanted, 1)
    return min(wanted + 1, MAX_ALTERNATIVES) if kind == "vllm" and wanted else wanted


def upstream_seed(kind: UpstreamKind, seed: int) -> int:
    """A seed that the server honours for the first choice, and its successors for the other choices. vLLM ignores -1,
    and llama-server 2**32 - 1.
    """
    return seed % SEED_LIMIT if kind in SHORT_SEEDS else seed


def length_body(request: ChatRequest, kind: UpstreamKind) -> dict[str, Any]:
    name = "max_completion_tokens" if kind == "openai" else "max_tokens"
    length = {} if request.max_tokens is None else {name: request.max_tokens}
    return length | ({"stop": list(request.stop)} if request.stop and supports_stop(kind) else {})


def tools_body(request: ChatRequest, kind: UpstreamKind) -> dict[str, Any]:
    tools, choice = request.tools, request.tool_choice
    if choice.mode == "none":
        return {}
    if kind == "llama-server":
        # llama-server treats a named function as "auto". "required" with only this function comes closest.
        tools = tuple(tool for tool in tools if tool.name in choice.names)
    return {
        "tools": [tool_body(tool) for tool in tools],
        "tool_choice": tool_choice_body(choice, tools),
        "parallel_tool_calls": request.parallel_tool_calls,
    }


def tool_body(tool: Tool) -> dict[str, Any]:
    parameters = dict(tool.parameters) or {"type": "object", "properties": {}}
    function = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": function | ({"strict": True} if tool.strict else {})}


def tool_choice_body(choice: ToolChoice, tools: tuple[Tool, ...]) -> Any:
    if choice.mode == "required" and len(choice.names) < len(tools):
        return {"type": "function", "function": {"name": choice.names[0]}}
    return choice.mode


def format_body(response_format: ResponseFormat) -> dict[str, Any]:
    if response_format.type == "json_schema":
        schema = {
            "name": response_format.name or "answer",
            "schema": dict(response_format.schema),
            "strict": response_format.strict,
        }
        if response_format.description:
            schema["description"] = response_format.description
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    return {} if response_format.type == "text" else {"response_format": {"type": response_format.type}}
