"""The chat format of the model: ChatML with tool calls in the format of Hermes models."""

import json
from typing import Any

from jinja2.sandbox import ImmutableSandboxedEnvironment

from training.phrases import Conversation

END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL_TOKENS = [END_OF_TEXT, START, END]
ANSWER_START = f"{START}assistant\n"
CONTEXT_LENGTH = 4096

TEMPLATE = """\
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- 'Functions:\\n<tools>\\n' }}
    {%- for tool in tools %}
        {{- tool | tojson + '\\n' }}
    {%- endfor %}
    {{- '</tools>\\nTo call one, write:\\n<tool_call>\\n{"name": ..., "arguments": {...}}\\n</tool_call>' }}
    {{- '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'tool' %}
        {%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' + message.content + '\\n</tool_response>' }}
        {%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- elif not (tools and loop.first and message.role == 'system') %}
        {{- '<|im_start|>' + message.role + '\\n' + (message.content or '') }}
        {%- for call in message.tool_calls or [] %}
            {%- if message.content or not loop.first %}
                {{- '\\n' }}
            {%- endif %}
            {{- '<tool_call>\\n{"name": ' + call.function.name | tojson }}
            {{- ', "arguments": ' + call.function.arguments | tojson + '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""


def compile_template() -> Any:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(TEMPLATE)


RENDERER = compile_template()


def messages_and_tools(conversation: Conversation) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Converts a conversation to the messages and tools of a request.

    The contents of the roles `tools`, `calls` and `forced calls` are JSON; the contents of other roles are text. The
    role `document` is an answer that the request constrains to JSON, `forced calls` those that it demands.
    """
    messages: list[dict[str, Any]] = []
    tools: list[dict[str, Any]] = []
    for role, content in conversation:
        if role == "tools":
            tools += [{"type": "function", "function": function} for function in json.loads(content)]
        elif role in ("calls", "forced calls"):
            calls = [{"type": "function", "function": call} for call in json.loads(content)]
            messages.append({"role": "assistant", "content": "", "tool_calls": calls})
        else:
            messages.append({"role": "assistant" if role == "document" else role, "content": content})
    return messages, tools


def render(conversation: Conversation, answers: bool = False) -> str:
    """The text of a conversation. With `answers`, the text ends with the start of the assistant's next message."""
    messages, tools = messages_and_tools(conversation)
    text: str = RENDERER.render(messages=messages, tools=tools, add_generation_prompt=answers)
    return text


def prompt_text(conversation: Conversation) -> str:
    """The prompt for the assistant's next message."""
    return render(conversation, answers=True)


def split_answers(text: str) -> list[tuple[str, bool]]:
    """Splits a rendered text where answers start and end. Each piece comes with whether the assistant writes it."""
    first, *others = text.split(ANSWER_START)
    cut = [(first, False)]
    for other in others:
        answer, end, rest = other.partition(END)
        cut += [(ANSWER_START, False), (answer + end, True), (rest, False)]
    return [(piece, answer) for piece, answer in cut if piece]
