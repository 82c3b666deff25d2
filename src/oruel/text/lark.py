"""Building blocks of grammars in llguidance's Lark, for one model's control tokens."""

import json
import re
from collections.abc import Collection, Iterable, Mapping

from oruel.constraints.calls.heads import control_mark
from oruel.text.matching import alternatives
from oruel.text.placeholders import CONSTRAIN, ID, INDEX, KIND, LOWER_ID, PLACEHOLDERS, regex_for

ANYTHING = r"(.|\n)*"
TERMINALS = f"TEXT: /{ANYTHING}/\nCALL_ID: /[a-zA-Z0-9]{{9}}/\nCALL_INDEX: /[0-9]{{1,3}}/\nLOWER_ID: /[a-z0-9]{{10}}/\n"


class Lark:
    """`control` maps the text of each control token to its id."""

    def __init__(self, control: Mapping[str, int]) -> None:
        self._control = control
        self._pattern = alternatives(control)

    def is_control(self, text: str) -> bool:
        return text in self._control

    def literal(self, text: str) -> str:
        """An expression that matches exactly this text; empty for an empty text."""
        parts: list[str] = []
        end = 0
        for match in self._pattern.finditer(text):
            parts += [*self._plain(text[end : match.start()]), f"<[{self._control[match[0]]}]>"]
            end = match.end()
        return " ".join([*parts, *self._plain(text[end:])])

    def pattern(self, text: str) -> str:
        """A regular expression for the same text, as CallHeads reads it."""
        parts: list[str] = []
        end = 0
        for match in self._pattern.finditer(text):
            parts += [regex_for(text[end : match.start()]), control_mark(self._control[match[0]])]
            end = match.end()
        return "".join([*parts, regex_for(text[end:])]).replace(re.escape(CONSTRAIN), self._constrain_pattern)

    def up_to(self, rule: str, end: str, text: str = "TEXT") -> str:
        """A rule for free text, matched by the terminal `text`, up to and including the first `end`."""
        if self._pattern.match(end):
            return f"{rule}: {text} {self.literal(end)}\n"
        return f"{rule}[lazy]: {text} {quote(end)}\n"

    def _plain(self, text: str) -> list[str]:
        kinds = {ID: "CALL_ID", INDEX: "CALL_INDEX", LOWER_ID: "LOWER_ID", KIND: self._kind}
        return [kinds.get(part) or quote(part) for part in PLACEHOLDERS.split(text) if part]

    @property
    def _constrain_pattern(self) -> str:
        return control_mark(self._control[CONSTRAIN]) if CONSTRAIN in self._control else re.escape(CONSTRAIN)

    @property
    def _kind(self) -> str:
        constrain = f"<[{self._control[CONSTRAIN]}]>" if CONSTRAIN in self._control else quote(CONSTRAIN)
        return f'(" json" | " "? {constrain} " "? "json")?'


def quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def either(expressions: Iterable[str]) -> str:
    return f"({' | '.join(expressions)})"


def escape(text: str) -> str:
    """A regular expression that matches exactly this text, for use between slashes."""
    return re.escape(text).replace("\\\n", r"\n").replace("/", r"\/")


def terminal_not_starting_with(name: str, *texts: str) -> str:
    """A terminal for every text that begins with none of `texts`."""
    return f"{name}: /{ANYTHING}/" + "".join(f" & ~/{escape(text)}{ANYTHING}/" for text in texts) + "\n"


def terminal_without(name: str, texts: Collection[str]) -> str:
    """A terminal for every text that contains none of `texts`."""
    refused = "|".join(map(escape, texts))
    return f"{name}: /{ANYTHING}/" + (f" & ~/{ANYTHING}({refused}){ANYTHING}/" if texts else "") + "\n"
