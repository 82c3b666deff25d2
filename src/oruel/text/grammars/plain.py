"""Grammars for plain answers: a JSON document, or calls of the offered tools."""

from collections.abc import Mapping, Sequence

from oruel.constraints.spec import (
    DocumentSpec,
    JsonObjectSpec,
    RulesSpec,
    calls_spec,
    rules_spec,
    schema_expression,
    schema_spec,
)
from oruel.text.formats.calls import ToolFormat
from oruel.text.formats.reasoning import Markers, State
from oruel.text.grammars.calls import CallGrammar
from oruel.text.lark import TERMINALS, Lark, terminal_not_starting_with
from oruel.types import ResponseFormat, Tool

# White space after reasoning.
BLANK = "BLANK: /[ \\n]{0,4}/\n"


def format_param(wanted: ResponseFormat) -> str:
    return "response_format.json_schema.schema" if wanted.type == "json_schema" else "response_format"


class PlainGrammars:
    """The grammars of one model. `reasoning_end` are the tokens of the marker that ends its reasoning."""

    def __init__(self, control: Mapping[str, int], markers: Markers | None, reasoning_end: Sequence[int]) -> None:
        self._lark = Lark(control)
        self._markers = markers
        self._reasoning_end = tuple(reasoning_end)

    def document(self, wanted: ResponseFormat, state: State) -> DocumentSpec:
        """For an answer that begins in `state`. `wanted` is not text."""
        if state is State.REASONING:
            schema = wanted.schema if wanted.type == "json_schema" else {"type": "object"}
            rules = self._after_reasoning(state, schema_expression(schema, is_checked=True))
            return rules_spec(
                rules, format_param(wanted), must_close=True, reasoning_end=self._reasoning_end, document=schema
            )
        # If reasoning is optional, the answer begins with the document.
        return JsonObjectSpec() if wanted.type == "json_object" else schema_spec(wanted.schema)

    def calls(
        self, tool_format: ToolFormat, tools: Sequence[Tool], state: State, *, must: bool, several: bool
    ) -> RulesSpec:
        """Calls of `tools`, at least one if `must` is set; otherwise free text that may end in calls."""
        calls = CallGrammar(self._lark, tool_format, tools, several=several)
        if must:
            begin = self._lark.literal(tool_format.begin)
            return calls_spec(self._after_reasoning(state, f"{begin} calls") + calls.rules, calls.arguments)
        return calls_spec(self._free(tool_format, state) + calls.rules, calls.arguments)

    def _after_reasoning(self, state: State, body: str) -> str:
        if state is State.TEXT or self._markers is None:
            return f"%llguidance {{}}\nstart: {body}\n{TERMINALS}"
        opened = "thought BLANK" if state is State.REASONING else f"({self._opening} thought BLANK)?"
        return f"%llguidance {{}}\nstart: {opened} {body}\n{self._thought}{TERMINALS}"

    def _free(self, tool_format: ToolFormat, state: State) -> str:
        """Optional reasoning, then text, then calls from their marker on."""
        text = self._text(tool_format, "TEXT", "")
        if state is State.TEXT or self._markers is None:
            return f"%llguidance {{}}\nstart: body\nbody: {text}{TERMINALS}"
        if state is State.REASONING:
            return f"%llguidance {{}}\nstart: thought BLANK body\nbody: {text}{self._thought}{TERMINALS}"
        # A text that begins with the reasoning marker is reasoning, and no call can begin inside.
        unopened = self._text(tool_format, "UNOPENED", "unopened_")
        return (
            f"%llguidance {{}}\nstart: {self._opening} thought BLANK body | other\nbody: {text}other: {unopened}"
            f"{self._thought}{terminal_not_starting_with('UNOPENED', self._markers.open)}{TERMINALS}"
        )

    def _text(self, tool_format: ToolFormat, terminal: str, prefix: str) -> str:
        """The expression for free text that may end in calls, and the rules that it needs, with names of their own."""
        if tool_format.marker is None:
            plain = f"{prefix}plain".upper()
            refused = [tool_format.begin, *([self._markers.open] if prefix and self._markers else [])]
            begin = self._lark.literal(tool_format.begin)
            return f"{plain} | {begin} calls\n" + terminal_not_starting_with(plain, *refused)
        rest = self._lark.literal(tool_format.begin.removeprefix(tool_format.trigger))
        head = self._lark.up_to(f"{prefix}head", tool_format.trigger, terminal)
        return f"{terminal} | {prefix}head {rest} calls\n{head}"

    @property
    def _opening(self) -> str:
        assert self._markers is not None
        return self._lark.literal(self._markers.open)

    @property
    def _thought(self) -> str:
        assert self._markers is not None
        return self._lark.up_to("thought", self._markers.close) + BLANK
