"""How many tokens a prompt may have, and likely has, on a server whose tokenizer and chat template are unknown."""

import msgspec

from oruel.backends.preparation import message_bytes, tool_characters
from oruel.types import ChatRequest

# Chat templates add text of their own: a default system prompt, and instructions for calling functions.
TEMPLATE_TOKENS = 256
TOOL_INSTRUCTION_TOKENS = 1024
# Of English text, with the tokenizers of today's models.
TYPICAL_BYTES_PER_TOKEN = 4


def most_prompt_tokens(request: ChatRequest) -> int:
    """An upper bound: each token has at least one byte, and what a template adds to a message is shorter than the names
    of the message's fields in JSON.
    """
    tools = request.tools if request.calls_tools else ()
    written = msgspec.json.encode((request.messages, tools, request.response_format.schema))
    return len(written) + TEMPLATE_TOKENS + (TOOL_INSTRUCTION_TOKENS if tools else 0)


def likely_prompt_tokens(request: ChatRequest) -> int:
    """An estimate, at least 1."""
    return max(1, (message_bytes(request) + tool_characters(request)) // TYPICAL_BYTES_PER_TOKEN)
