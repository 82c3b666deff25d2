"""Prepares a request for the engine: the tokens of its prompt, and the constraint on its answer."""

import json

import msgspec

from oruel.constraints.spec import ConstraintSpec
from oruel.errors import ContextLengthExceeded, TemplateTooCostly
from oruel.jobs.base import Tokenizers
from oruel.text.formats.reasoning import State
from oruel.text.prompt.budget import WHOLE, RenderLimits
from oruel.text.tokenizer import Tokenizer
from oruel.types import ChatRequest


class ContextWindow(msgspec.Struct, frozen=True):
    """For one request, in tokens. `model` is the name that answers carry."""

    model: str
    tokens: int


class PreparationQuestion(msgspec.Struct, frozen=True):
    """`tokenizer`: the name of the job's tokenizer."""

    tokenizer: str
    window: ContextWindow
    request: ChatRequest


class PreparedRequest(msgspec.Struct, frozen=True):
    """`state`: how the answer begins after the prompt's `tokens`. `left_out`: the keywords of the tools' schemas that
    aren't enforced, each as "parameter: keywords".
    """

    tokens: list[int]
    state: State
    constraint: ConstraintSpec | None
    left_out: tuple[str, ...]


def prepare_in_job(tokenizers: Tokenizers, conversation: PreparationQuestion) -> PreparedRequest:
    return prepare(tokenizers[conversation.tokenizer], conversation.request, conversation.window)


def prepare(
    tokenizer: Tokenizer, request: ChatRequest, window: ContextWindow, *, limits: RenderLimits = WHOLE
) -> PreparedRequest:
    """Raises ContextLengthExceeded, InvalidParameter, UnsupportedParameter, and TemplateTooCostly beyond `limits`."""
    try:
        prompt = tokenizer.encode_request(request, limits=limits)
    except TemplateTooCostly as error:
        raise TemplateTooCostly(f"{window.model}: {error.message}", param=error.param) from error
    check_context_length(request, window, len(prompt.tokens))
    left_out = tokenizer.left_out(request) if request.tools else ()
    return PreparedRequest(prompt.tokens, prompt.state, tokenizer.constraint(request, prompt.state), left_out)


def check_context_length(request: ChatRequest, window: ContextWindow, prompt_tokens: int, accuracy: str = "") -> None:
    """Raises ContextLengthExceeded if no token of an answer fits after the prompt."""
    if prompt_tokens < window.tokens:
        return
    declared = tool_characters(request)
    param = "tools" if declared > message_bytes(request) else "messages"
    remedy = "Declare fewer tools, or describe them in less" if param == "tools" else "Shorten the messages"
    raise ContextLengthExceeded(
        f"The messages {'and tools come' if declared else 'come'} to {accuracy}{prompt_tokens} tokens, and the "
        f"context window of {window.model} holds {window.tokens}, of which the answer needs at least one. {remedy}.",
        param=param,
    )


def message_bytes(request: ChatRequest) -> int:
    """The bytes of the messages' text."""
    return sum(len((message.content + (message.reasoning_content or "")).encode()) for message in request.messages)


def tool_characters(request: ChatRequest) -> int:
    """The characters of the declarations of all tools that the model is shown."""
    tools = request.tools if request.calls_tools else ()
    return sum(len(tool.name + tool.description + json.dumps(tool.parameters)) for tool in tools)
