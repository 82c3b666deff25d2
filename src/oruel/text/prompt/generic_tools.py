"""Tool support for models whose template has none, if the operator enables it: tools are described in the system
message and called in the Hermes format. Such models may choose tools badly, but their calls are constrained to the
format.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from oruel.text.prompt.template import tool_dict
from oruel.types import Message, Tool, ToolCall

INTRODUCTION = """You may call functions. These are declared, each as JSON on a line of its own:
<tools>
{tools}
</tools>

To call one, answer with nothing but its name and its arguments as JSON, between these tags:
<tool_call>
{{"name": "the function's name", "arguments": {{...}}}}
</tool_call>"""


def with_tools(messages: Sequence[Message], tools: Sequence[Tool]) -> list[Message]:
    """The same conversation in roles that every template supports."""
    converted = list(_convert(messages))
    if not tools:
        return converted
    introduction = INTRODUCTION.format(tools="\n".join(json.dumps(tool_dict(t), ensure_ascii=False) for t in tools))
    if converted and converted[0].role == "system":
        return [replace(converted[0], content=f"{converted[0].content}\n\n{introduction}"), *converted[1:]]
    return [Message("system", introduction), *converted]


def _convert(messages: Sequence[Message]) -> Iterator[Message]:
    """Joins consecutive tool results into one user turn, since many templates require alternating roles."""
    results: list[str] = []
    for message in messages:
        if message.role == "tool":
            results.append(f"<tool_response>\n{message.content}\n</tool_response>")
            continue
        if results:
            yield Message("user", "\n".join(results))
            results = []
        calls = [write_call(call) for call in message.tool_calls]
        yield replace(message, content="\n".join(filter(None, [message.content, *calls])), tool_calls=())
    if results:
        yield Message("user", "\n".join(results))


def write_call(call: ToolCall) -> str:
    body = {"name": call.name, "arguments": json.loads(call.arguments)}
    return f"<tool_call>\n{json.dumps(body, ensure_ascii=False)}\n</tool_call>"
