"""A chat template: renders messages as the text of a prompt, up to where the model's answer begins.

Templates come from the model file, which the operator chose. Messages and keyword arguments come from clients.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from jinja2 import nodes

from oruel.contract.kinds import abbreviate
from oruel.errors import InvalidParameter, ModelLoadError, TemplateTooCostly
from oruel.text.prompt.budget import PROBED, WHOLE, OverBudget, RenderLimits, spending
from oruel.text.prompt.sandbox import Sandbox
from oruel.types import Message, Tool, ToolCall

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""For models without a template."""

MAX_REASON = 400
MAX_SOURCE = 2**18
NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}
RESERVED = frozenset({"messages", "add_generation_prompt", "bos_token", "eos_token", "tools", "documents"})

# Ways to pass "no tools": most templates expect None, some no variable, some an empty list.
WITHOUT_TOOLS: tuple[Mapping[str, Any], ...] = ({"tools": None, "documents": None}, {}, {"tools": [], "documents": []})

# Rendered when the model is loaded, to learn what the template supports.
PROBE = "Speak like a pirate"
USER = Message("user", "Good day")
WITH_SYSTEM = (Message("system", PROBE), USER)


class ChatTemplate:
    """`bos_text` and `eos_text` are the template's bos_token and eos_token. `transform` may change the parsed template
    before it is compiled. Raises ModelLoadError for an invalid template.
    """

    def __init__(
        self,
        source: str,
        *,
        bos_text: str = "",
        eos_text: str = "",
        transform: Callable[[nodes.Template], nodes.Template] = lambda template: template,
    ) -> None:
        self.source = source
        self.bos_text = bos_text
        self.eos_text = eos_text
        if len(source) > MAX_SOURCE:
            raise ModelLoadError(
                f"The model's chat template has {len(source)} characters; at most {MAX_SOURCE} are allowed."
            )
        sandbox = Sandbox()
        try:
            with spending(WHOLE):
                self._template = sandbox.from_string(transform(sandbox.parse(source)))
        except Exception as error:
            raise ModelLoadError(
                f"The model's chat template can't be compiled: {describe_error(error)}. Use a model file with another "
                "template."
            ) from error
        self._reserved = RESERVED | frozenset(sandbox.globals)
        self._without_tools = max(WITHOUT_TOOLS, key=self._count_rendered)
        self._takes_system = self._probe()

    def render(
        self,
        messages: Sequence[Message],
        kwargs: Mapping[str, Any],
        tools: Sequence[Tool] = (),
        *,
        answers: bool = True,
        limits: RenderLimits = WHOLE,
    ) -> str:
        """If `answers`, the text ends where the model's answer begins. Raises InvalidParameter, with the template's own
        message if it rejects the messages, and TemplateTooCostly if it exceeds the limits.
        """
        self._check(kwargs)
        taken = messages if self._takes_system else fold_system(messages)
        offered = {"tools": [tool_dict(tool) for tool in tools]} if tools else {}
        return self._render(taken, {**self._without_tools, **offered, **kwargs}, answers=answers, limits=limits)

    def _render(
        self,
        messages: Sequence[Message],
        variables: Mapping[str, Any],
        *,
        answers: bool = True,
        limits: RenderLimits = WHOLE,
    ) -> str:
        try:
            with spending(limits, sum(len(message.content) for message in messages)):
                return self._template.render(
                    variables,
                    messages=[message_dict(message) for message in messages],
                    add_generation_prompt=answers,
                    bos_token=self.bos_text,
                    eos_token=self.eos_text,
                )
        except OverBudget as error:
            raise TemplateTooCostly(
                f"The model's chat template can't render these messages: {error}. Send fewer or shorter messages, or "
                "have the operator use a model file with another template.",
                param="messages",
            ) from error
        except Exception as error:
            raise InvalidParameter(
                f"The model's chat template can't render these messages: {describe_error(error)}.", param="messages"
            ) from error

    def _check(self, kwargs: Mapping[str, Any]) -> None:
        for name in kwargs:
            if name in self._reserved:
                where = f"chat_template_kwargs.{abbreviate(name)}"
                raise InvalidParameter(f"{where} is set by the server. Leave it out.", param=where)

    def _probe(self) -> bool:
        """Whether a system message is rendered. If a lone user message isn't rendered either, folding would
        not help.
        """
        rendered = self._attempt(WITH_SYSTEM, self._without_tools)
        if rendered is None:
            return self._attempt([USER], self._without_tools) is None
        return PROBE in rendered

    def _count_rendered(self, variables: Mapping[str, Any]) -> int:
        return sum(self._attempt(messages, variables) is not None for messages in ([USER], WITH_SYSTEM))

    def _attempt(self, messages: Sequence[Message], variables: Mapping[str, Any]) -> str | None:
        try:
            return self._render(messages, variables, limits=PROBED)
        except TemplateTooCostly as error:
            raise ModelLoadError(f"Even for two short messages: {error.message}") from error
        except InvalidParameter:
            return None


def fold_system(messages: Sequence[Message]) -> list[Message]:
    """For templates without a system role: prepends its text to the next user message."""
    return list(_folded(messages))


def _folded(messages: Sequence[Message]) -> Iterator[Message]:
    waiting: list[str] = []
    for message in messages:
        if message.role == "system":
            waiting.append(message.content)
        elif message.role == "user":
            yield replace(message, content="\n\n".join([*waiting, message.content]))
            waiting = []
        else:
            yield message
    if waiting:
        yield Message("user", "\n\n".join(waiting))


def message_dict(message: Message) -> dict[str, Any]:
    fields = {
        "name": message.name,
        "reasoning_content": message.reasoning_content,
        "tool_call_id": message.tool_call_id,
        "tool_calls": [call_dict(call) for call in message.tool_calls] or None,
    }
    return {"role": message.role, "content": message.content} | {
        name: value for name, value in fields.items() if value is not None
    }


def call_dict(call: ToolCall) -> dict[str, Any]:
    """Arguments as an object, since templates take them apart."""
    function = {"name": call.name, "arguments": json.loads(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}


def tool_dict(tool: Tool) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": deepcopy({**NO_PARAMETERS, **tool.parameters}),
    }
    return {"type": "function", "function": function}


def describe_error(error: BaseException) -> str:
    """What went wrong in a template, on one line, without trailing punctuation; the caller adds it."""
    text = " ".join(str(error).split()) or type(error).__name__
    return abbreviate(text, MAX_REASON).rstrip(".! ")
