"""A chat template whose special texts are distinguished from the same texts in messages."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from oruel.contract.kinds import abbreviate
from oruel.errors import InvalidParameter
from oruel.text.matching import alternatives, occurrences
from oruel.text.prompt.budget import WHOLE, RenderLimits
from oruel.text.prompt.private_use import GUARD, PrivateUseMarks
from oruel.text.prompt.template import ChatTemplate
from oruel.types import Message, Tool

MAX_DEPTH = 32
MAX_SCHEMA_DEPTH = 100  # additional levels for JSON, whose depth the parser has limited

USER = Message("user", "Good day", name="Ada")
ASSISTANT = Message("assistant", "Hello", reasoning_content="Greet")

# Conversations rendered when the model is loaded, to see which special texts a template writes.
PROBES = (
    (USER,),
    (USER, ASSISTANT, USER),
    (Message("system", "Speak like a pirate"), USER, Message("assistant", "Hello"), Message("user", "Thanks")),
)


class MarkedTemplate:
    """`written`: those special texts in `texts` that the template can write.

    Most templates contain them as constants, and then nothing in a message can be mistaken for one. Some build them, as
    in `'<|' + message.role + '|>'`; these are recognised by their text, and guarded wherever a message contains them.
    """

    def __init__(self, template: ChatTemplate, texts: Collection[str]) -> None:
        self._markup = PrivateUseMarks(texts, template.source + template.bos_text + template.eos_text)
        self._template = mark_template(template, self._markup)
        special = alternatives(texts)
        assembled: set[str] = set()
        if not self._is_faithful(template):
            # The template inspects its own output: no special text is marked, and all that it may write are guarded.
            assembled = set(self._markup.texts)
            self._markup, self._template = PrivateUseMarks((), ""), template
        for plain in self._plain_segments():
            assembled.update(special.findall(plain))
        self._assembled = alternatives(assembled)
        self._guards = bool(assembled)
        self.written = self._markup.texts | assembled

    def segments(
        self,
        messages: Sequence[Message],
        kwargs: Mapping[str, Any],
        tools: Sequence[Tool] = (),
        *,
        limits: RenderLimits = WHOLE,
    ) -> Iterator[tuple[str, bool]]:
        """The rendered text in order: the template's special texts (True) and all other text (False)."""
        protected = {name: self._protect_value(value, f"chat_template_kwargs.{name}") for name, value in kwargs.items()}
        rendered = self._template.render(
            [self._protect_message(message) for message in messages],
            protected,
            [self._protect_tool(tool) for tool in tools],
            limits=limits,
        )
        for text, special in self._markup.segments(rendered):
            if special:
                yield text, True
            else:
                yield from self._split(text)

    def _split(self, text: str) -> Iterator[tuple[str, bool]]:
        """Splits off special texts that the template built."""
        end = 0
        for match in self._assembled.finditer(text):
            yield from self._plain(text[end : match.start()])
            yield match[0], True
            end = match.end()
        yield from self._plain(text[end:])

    def _plain(self, text: str) -> Iterator[tuple[str, bool]]:
        if plain := self._markup.unescape(text):
            yield plain, False

    def _protect_message(self, message: Message) -> Message:
        return replace(
            message,
            content=self._protect(message.content),
            name=message.name and self._protect(message.name),
            reasoning_content=message.reasoning_content and self._protect(message.reasoning_content),
            tool_calls=tuple(
                replace(call, id=self._protect(call.id), arguments=self._protect_json(call.arguments))
                for call in message.tool_calls
            ),
            tool_call_id=message.tool_call_id and self._protect(message.tool_call_id),
        )

    def _protect_tool(self, tool: Tool) -> Tool:
        parameters = self._protect_value(tool.parameters, "tools", -MAX_SCHEMA_DEPTH)
        return replace(tool, description=self._protect(tool.description), parameters=parameters)

    def _protect_json(self, text: str) -> str:
        protected = self._protect_value(json.loads(text), "messages", -MAX_SCHEMA_DEPTH)
        return json.dumps(protected, ensure_ascii=False)

    def _protect_value(self, value: Any, path: str, depth: int = 0) -> Any:
        if depth > MAX_DEPTH:
            raise InvalidParameter(f"{abbreviate(path)} is nested deeper than {MAX_DEPTH} levels.", param=path)
        if isinstance(value, str):
            return self._protect(value)
        if isinstance(value, (list, tuple)):
            return [self._protect_value(item, path, depth + 1) for item in value]
        if isinstance(value, Mapping):
            return {self._protect(name): self._protect_value(item, path, depth + 1) for name, item in value.items()}
        return value

    def _protect(self, text: str) -> str:
        escaped = self._markup.escape(text)
        return self._guard(escaped) if self._guards else escaped

    def _guard(self, text: str) -> str:
        """Splits the text inside each special text and at both ends, where the template may add something."""
        if not text.strip():
            return text  # a template may test whether a message is empty
        start, end = len(text) - len(text.lstrip()), len(text.rstrip())
        places = sorted({start, end, *(place + 1 for _, place in occurrences(self._assembled, text))})
        return GUARD.join(text[begin:until] for begin, until in pairwise([0, *places, len(text)]))

    def _is_faithful(self, template: ChatTemplate) -> bool:
        """Whether the marks leave the rendered text unchanged."""
        return all(self._text(probe) == try_render(template, probe) for probe in PROBES)

    def _text(self, messages: Sequence[Message]) -> str | None:
        text = try_render(self._template, messages)
        return text and "".join(part for part, _ in self._markup.segments(text))

    def _plain_segments(self) -> Iterator[str]:
        for probe in PROBES:
            segments = self._markup.segments(try_render(self._template, probe) or "")
            yield from (text for text, special in segments if not special)


def mark_template(template: ChatTemplate, markup: PrivateUseMarks) -> ChatTemplate:
    return ChatTemplate(
        template.source,
        bos_text=markup.mark(template.bos_text),
        eos_text=markup.mark(template.eos_text),
        transform=markup.transform,
    )


def try_render(template: ChatTemplate, messages: Sequence[Message]) -> str | None:
    """None if the template rejects the messages."""
    try:
        return template.render(messages, {})
    except InvalidParameter:
        return None
