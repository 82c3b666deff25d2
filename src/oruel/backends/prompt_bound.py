"""How many tokens a prompt may have on a server whose tokenizer and chat template are unknown."""

import msgspec

from oruel.types import ChatRequest

# Chat templates add text of their own: a default system prompt, and instructions for calling functions.
TEMPLATE_TOKENS = 256
TOOL_INSTRUCTION_TOKENS = 1024


def most_prompt_tokens(request: ChatRequest) -> int:
    """An upper bound: each token has at least one byte, and what a template adds to a message is shorter than the names
    of the message's fields in JSON.
    """
    tools = request.tools if request.calls_tools else ()
    written = msgspec.json.encode((request.messages, tools, request.response_format.schema))
    return len(written) + TEMPLATE_TOKENS + (TOOL_INSTRUCTION_TOKENS if tools else 0)
