"""Prepares a request for the engine: tokenizes its prompt and builds the constraint of its answer."""

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
    """The maximum of prompt and answer together, in tokens. `model` is the model's name in error messages."""

    model: str
    tokens: int


class PreparationQuestion(msgspec.Struct, frozen=True):
    """The question of a preparation job. `tokenizer` is the name of a tokenizer that the job server has loaded."""

    tokenizer: str
    window: ContextWindow
    request: ChatRequest


class PreparedRequest(msgspec.Struct, frozen=True):
    """`tokens`: the prompt. `state`: how the answer begins. `left_out`: the keywords of the tools' schemas that can't
    be enforced, each as "parameter: keywords".
    """

    tokens: list[int]
    state: State
    constraint: ConstraintSpec | None
    left_out: tuple[str, ...]


def prepare_in_job(tokenizers: Tokenizers, question: PreparationQuestion) -> PreparedRequest:
    return prepare(tokenizers[question.tokenizer], question.request, question.window)


def prepare(
    tokenizer: Tokenizer, request: ChatRequest, window: ContextWindow, *, limits: RenderLimits = WHOLE
) -> PreparedRequest:
    """Raises ContextLengthExceeded, InvalidParameter, UnsupportedParameter, or TemplateTooCostly beyond `limits`."""
    try:
        prompt = tokenizer.encode_request(request, limits=limits)
    except TemplateTooCostly as error:
        raise TemplateTooCostly(f"{window.model}: {error.message}", param=error.param) from error
    check_context_length(request, window, len(prompt.tokens))
    left_out = tokenizer.left_out(request) if request.tools else ()
    return PreparedRequest(prompt.tokens, prompt.state, tokenizer.constraint(request, prompt.state), left_out)


def check_context_length(request: ChatRequest, window: ContextWindow, prompt_tokens: int, accuracy: str = "") -> None:
    """Raises ContextLengthExceeded if the prompt leaves no room for an answer of one token. `accuracy` qualifies the
    number of tokens, such as "at least ".
    """
    if prompt_tokens < window.tokens:
        return
    size_of_tools = tool_characters(request)
    param = "tools" if size_of_tools > message_bytes(request) else "messages"
    remedy = "Declare fewer tools, or shorten their descriptions" if param == "tools" else "Shorten the messages"
    raise ContextLengthExceeded(
        f"The messages {'and tools have' if size_of_tools else 'have'} {accuracy}{prompt_tokens} tokens, but the "
        f"context window of {window.model} has {window.tokens}, of which the answer needs at least one. {remedy}.",
        param=param,
    )


def message_bytes(request: ChatRequest) -> int:
    """The size of the messages' text in UTF-8, in bytes."""
    return sum(len((message.content + (message.reasoning_content or "")).encode()) for message in request.messages)


def tool_characters(request: ChatRequest) -> int:
    """The size of the tool declarations in the prompt, in characters."""
    tools = request.tools if request.calls_tools else ()
    return sum(len(tool.name + tool.description + json.dumps(tool.parameters)) for tool in tools)
