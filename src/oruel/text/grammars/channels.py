"""Grammars for answers in channels: free reasoning first, then a document or calls."""

from collections.abc import Mapping, Sequence

from oruel.constraints.spec import RulesSpec, calls_spec, rules_spec, schema_expression
from oruel.errors import InvalidParameter
from oruel.text.formats.calls import ToolFormat
from oruel.text.formats.channels import ChannelPart, Channels, find_marks
from oruel.text.formats.reasoning import State
from oruel.text.grammars.calls import CallGrammar
from oruel.text.grammars.plain import format_param
from oruel.text.lark import TERMINALS, Lark, terminal_without
from oruel.types import ResponseFormat, Tool


class ChannelGrammars:
    """The grammars of one model, which writes calls in any of `formats`. `reasoning_end` are the tokens that end its
    reasoning.
    """

    def __init__(
        self,
        control: Mapping[str, int],
        channels: Channels,
        formats: Sequence[ToolFormat],
        reasoning_end: Sequence[int],
    ) -> None:
        self._lark = Lark(control)
        self._channels = channels
        self._formats = formats
        self._reasoning_end = tuple(reasoning_end)
        texts = (*channels.texts, *(text for form in formats for text in form.texts))
        plain = [mark for mark in find_marks(texts) if not self._lark.is_control(mark)]
        # Other tokens may contain a marker, too, so free text excludes them.
        self._terminals = (
            TERMINALS + terminal_without("FREE", plain) + terminal_without("FINAL", [*plain, *self._aside_close])
        )

    def document(self, wanted: ResponseFormat, state: State) -> RulesSpec:
        """For an answer that begins in `state`. `wanted` is not text. A model that reasons does so once."""
        schema, param = wanted.schema if wanted.type == "json_schema" else {"type": "object"}, format_param(wanted)
        document = f"{schema_expression(schema, is_checked=True)} {self._lark.literal(self._channels.final.close)}"
        if state is State.TEXT:
            return rules_spec(self._grammar(document), param, must_close=True, document=schema)
        document = f"{self._lark.literal(self._channels.final.open)} {document}"
        if self._channels.reasoning is None:
            return rules_spec(self._grammar(document), param, must_close=True, document=schema)
        opened = "" if state is State.REASONING else self._lark.literal(self._channels.reasoning.open)
        rules = self._up_to_close("reasoning", self._channels.reasoning)
        grammar = self._grammar(f"{opened} reasoning {document}", rules)
        return rules_spec(grammar, param, must_close=True, reasoning_end=self._reasoning_end, document=schema)

    def calls(self, tools: Sequence[Tool], state: State, *, must: bool, several: bool) -> RulesSpec:
        """Calls of `tools`, at least one if `must` is set; otherwise any parts, the last of which may be calls. Raises
        InvalidParameter for a tool whose name is reserved for a part.
        """
        for tool in tools:
            self._check_name(tool.name)
        call_grammars = [
            (form, prefix, CallGrammar(self._lark, form, tools, several=several, prefix=prefix))
            for form, prefix in zip(self._formats, "abcdef", strict=False)
        ]
        ends = [f"{self._lark.literal(form.begin)} {prefix}calls" for form, prefix, _ in call_grammars]
        rules = [calls.rules for _, _, calls in call_grammars]
        before = {"reasoning": self._channels.reasoning, **({} if must else {"aside": self._channels.aside})}
        parts = {name: part for name, part in before.items() if part}
        rules += [self._up_to_close(name, part) for name, part in parts.items()]
        if not must:
            ends.append(f"{self._lark.literal(self._channels.final.open)} final")
            rules.append(self._final)
        heads = " | ".join(f"{self._lark.literal(part.open)} {name}" for name, part in parts.items())
        loop = f"({heads})* ({' | '.join(ends)})" if heads else f"({' | '.join(ends)})"
        arguments = [each for _, _, calls in call_grammars for each in calls.arguments]
        return calls_spec(self._grammar(self._after_opened_part(loop, state, must=must), *rules), arguments)

    def _check_name(self, name: str) -> None:
        heads = [form.begin + name + form.middle for form in self._formats]
        if any(head.startswith(part.open) for head in heads for part in self._channels.parts):
            raise InvalidParameter(
                f'This model can\'t call a function named "{name}": the name has another meaning in its call format. '
                "Give the function another name.",
                param="tools",
            )

    def _after_opened_part(self, rest: str, state: State, *, must: bool) -> str:
        """The rest of the answer after the part that the prompt has opened."""
        if state is State.REASONING:
            return f"reasoning {rest}"
        if state is State.EITHER or not (aside := self._channels.aside):
            return rest
        if must:
            return f"{self._lark.literal(aside.close + self._channels.separator)} {rest}"
        return f"final | aside {rest}"

    def _up_to_close(self, rule: str, part: ChannelPart) -> str:
        """The rule for a part's text, its close, and the text before the next header."""
        separator = self._lark.literal(self._channels.separator)
        return f"{rule}: {rule}_text {separator}\n{self._lark.up_to(f'{rule}_text', part.close, 'FREE')}"

    @property
    def _final(self) -> str:
        close, aside = self._channels.final.close, self._channels.aside
        if aside and close.startswith(aside.close):
            return f"final: aside_text {self._lark.literal(close.removeprefix(aside.close))}\n"
        return self._lark.up_to("final", close, "FINAL") if close else "final: FINAL\n"

    @property
    def _aside_close(self) -> list[str]:
        """The close of an aside if it is plain text: the final content must not contain it."""
        aside = self._channels.aside
        return (
            [aside.close] if aside and not self._lark.is_control(aside.close) and not find_marks([aside.close]) else []
        )

    def _grammar(self, start: str, *rules: str) -> str:
        return f"%llguidance {{}}\nstart: {start}\n{''.join(rules)}{self._terminals}"
