"""Derives a model's tool format from what its chat template renders for conversations with calls."""

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

from oruel.errors import InvalidParameter
from oruel.text.arguments.tagged import TagSyntax
from oruel.text.formats.calls import ToolFormat, common_prefix, common_suffix
from oruel.text.formats.families import Family
from oruel.text.formats.reasoning import without_reasoning
from oruel.text.placeholders import ID, INDEX
from oruel.text.prompt.template import ChatTemplate
from oruel.types import Message, Tool, ToolCall

FIRST, SECOND, THIRD = "zqalpha", "zqbravo", "zqcharlie"
KEY, OTHER_KEY = "zqkey", "zqanother"
VALUE, OTHER_VALUE = "zqvalue", "zqsomething"
ANSWER, RESULT = "zqanswer", "zqresult"
NUMBER = 90210
LONG_IDS = tuple(f"call_zq00000000000000000{end}" for end in "abc")
SHORT_IDS = tuple(f"zqid0000{end}" for end in "abc")

USER = Message("user", "zqquestion")
PARAMETERS = {"type": "object", "properties": {KEY: {"type": "string"}}, "required": [KEY]}
LISTED = Tool("zqlisted", "zqdescription", PARAMETERS)


@dataclass(frozen=True, slots=True)
class ToolSupport:
    """A template's support for tools. `formats`: the ways to write calls; empty if they are neither known for the
    family nor could be derived.
    """

    formats: tuple[ToolFormat, ...]
    renders_tools: bool
    renders_results: bool

    @property
    def is_complete(self) -> bool:
        return bool(self.formats) and self.renders_tools and self.renders_results


def detect_support(template: ChatTemplate, family: Family | None = None) -> ToolSupport:
    """`template` is of `family`, and includes its prelude."""
    probe = _Probe(template)
    formats = family.formats if family else ()
    if not formats and (derived := probe.format()):
        formats = (derived,)
    return ToolSupport(formats, probe.renders_tools(), probe.renders_results())


@dataclass(frozen=True, slots=True)
class _Parts:
    """The rendered text before the first call's name, and from there to the end of the turn."""

    begin: str
    after: str


class _Probe:
    """Renders conversations with made-up names and values, and finds what the template writes around them."""

    def __init__(self, template: ChatTemplate) -> None:
        self._template = template
        self._ids = LONG_IDS
        if self._render_calls({KEY: VALUE}) is None:
            self._ids = SHORT_IDS

    def renders_tools(self) -> bool:
        rendered = self._render([USER], answers=True)
        return rendered is not None and LISTED.name in rendered and LISTED.description in rendered

    def renders_results(self) -> bool:
        call = ToolCall(self._ids[0], FIRST, json.dumps({KEY: VALUE}))
        result = Message("tool", RESULT, name=FIRST, tool_call_id=self._ids[0])
        rendered = self._render([USER, Message("assistant", "", tool_calls=(call,)), result], answers=True)
        return rendered is not None and RESULT in rendered

    def format(self) -> ToolFormat | None:
        """None if the rendered text doesn't show it."""
        written = self._json() or self._tagged()
        if written is None or holds_probe(written):
            return None
        # History has newlines, and empty reasoning, where an answer begins with the call itself.
        begin = without_reasoning(written.begin).lstrip("\n")
        return replace(written, begin=begin, short_ids=self._ids is SHORT_IDS) if begin.strip() else None

    def _json(self) -> ToolFormat | None:
        """The format if the arguments are rendered as a JSON object."""
        one = self._parts({KEY: VALUE})
        found = one and find_object(one.after, {KEY: VALUE})
        if not one or not found:
            return None
        written = ToolFormat(one.begin, one.after[: found[0]], one.after[found[1] :])
        several = self._parts({KEY: VALUE}, {KEY: OTHER_VALUE}, {KEY: VALUE})
        try:
            middle, between = self._repeated(several.after if several else "", written.end)
        except ValueError:
            return written
        return replace(written, middle=middle, between=between) if middle and between is not None else written

    def _repeated(self, after: str, end: str) -> tuple[str | None, str | None]:
        """The texts between name and arguments and between two calls, in a rendering of three. Raises ValueError."""
        first, second, third = split_at(after, SECOND, THIRD)
        (middle, between), (middle_2, between_2) = split_around(first, VALUE), split_around(second, OTHER_VALUE)
        middle_3, ending = split_around(third, VALUE)
        if merge_index(middle, middle_3) != merge_index(middle, middle_2) or merge_index(ending, end) != end:
            return None, None
        return merge_index(middle, middle_2), merge_index(between, between_2)

    def _tagged(self) -> ToolFormat | None:
        """The format if each argument is rendered between tags."""
        one, keys = self._parts({KEY: VALUE}), self._parts({KEY: VALUE, OTHER_KEY: OTHER_VALUE})
        number, array = self._parts({KEY: NUMBER}), self._parts({KEY: [NUMBER]})
        two = self._parts({KEY: VALUE}, {KEY: OTHER_VALUE})
        if not (one and keys and number and array):
            return None
        try:
            before, after_key, rest = split_at(one.after, KEY, VALUE)
            _, _, between_arguments, _, _ = split_at(keys.after, KEY, VALUE, OTHER_KEY, OTHER_VALUE)
            _, after_key_json, _ = split_at(number.after, KEY, str(NUMBER))
            if split_at(array.after, KEY, f"[{NUMBER}]")[1] != after_key_json:
                return None
        except ValueError:
            return None
        before_key = common_suffix(before, between_arguments)
        after_value = between_arguments.removesuffix(before_key)
        if not before_key or not after_value or not rest.startswith(after_value):
            return None
        tags = TagSyntax(before_key, after_key, after_value, after_key_json)
        end = rest.removeprefix(after_value)
        written = ToolFormat(one.begin, before.removesuffix(before_key), end, arguments=tags)
        call = one.after.removesuffix(end)
        second = call.replace(VALUE, OTHER_VALUE)
        if not (two and two.after.startswith(call) and two.after.endswith(second + end)):
            return written
        between, found, _ = two.after.removeprefix(call).partition(SECOND)
        return replace(written, between=between) if found else written

    def _parts(self, *arguments: dict[str, Any]) -> _Parts | None:
        """What is rendered for calls with these arguments in place of a plain answer's text."""
        plain, rendered = self._render([USER, Message("assistant", ANSWER)]), self._render_calls(*arguments)
        if plain is None or rendered is None or plain.count(ANSWER) != 1:
            return None
        before, after = plain.split(ANSWER)
        name = rendered.find(FIRST, rendered.find(USER.content))
        if name < 0:
            return None
        shared = start_of_tag(rendered, len(common_prefix(before, rendered[:name])))
        rest = rendered[name + len(FIRST) :]
        ending = common_suffix(rest, after)
        if ending != after and ending not in ("", "\n"):
            # A cut tag belongs to the call.
            ending = ending[ending.find("<") :] if "<" in ending else ""
        return _Parts(self._blank(rendered[shared:name]), self._blank(rest.removesuffix(ending)))

    def _blank(self, text: str) -> str:
        for call_id in self._ids:
            text = text.replace(call_id, ID)
        return text

    def _render_calls(self, *arguments: dict[str, Any]) -> str | None:
        calls = (
            ToolCall(call_id, name, json.dumps(given))
            for call_id, name, given in zip(self._ids, (FIRST, SECOND, THIRD), arguments, strict=False)
        )
        return self._render([USER, Message("assistant", "", tool_calls=tuple(calls))])

    def _render(self, messages: Sequence[Message], *, answers: bool = False) -> str | None:
        try:
            return self._template.render(messages, {}, [LISTED], answers=answers)
        except InvalidParameter:
            return None


def find_object(text: str, wanted: dict[str, Any]) -> tuple[int, int] | None:
    """The start and end of the first JSON object equal to `wanted`."""
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        try:
            found, end = decoder.raw_decode(text, start)
        except ValueError:
            found, end = None, 0
        if found == wanted:
            return start, end
        start = text.find("{", start + 1)
    return None


def split_at(text: str, *marks: str) -> list[str]:
    """The texts between the marks, which come in this order. Raises ValueError."""
    parts: list[str] = []
    for mark in marks:
        before, found, text = text.partition(mark)
        if not found:
            raise ValueError(mark)
        parts.append(before)
    return [*parts, text]


def split_around(text: str, value: str) -> tuple[str, str]:
    """The texts before and after the JSON object {KEY: value}. Raises ValueError."""
    found = find_object(text, {KEY: value})
    if not found:
        raise ValueError(value)
    return text[: found[0]], text[found[1] :]


def merge_index(one: str, other: str) -> str | None:
    """The common text, with INDEX where the two texts count calls; None if they differ in anything else."""
    if one == other:
        return one
    start = len(common_prefix(one, other))
    end = len(common_suffix(one[start:], other[start:]))
    counts = one[start : len(one) - end], other[start : len(other) - end]
    return one[:start] + INDEX + one[len(one) - end :] if all(map(str.isdigit, counts)) else None


def start_of_tag(text: str, place: int) -> int:
    """The position itself, or the start of the tag that contains it."""
    opened = text.rfind("<", 0, place)
    return opened if opened > text.rfind(">", 0, place) else place


def holds_probe(written: ToolFormat) -> bool:
    """Whether the format still contains part of the probe, or the answer has channels: then the rendered history
    differs from what the model writes, or isn't understood.
    """
    texts = repr(astuple(written))
    return "zq" in texts or "<|channel|>" in texts or ID in written.begin
