"""How a model writes function calls: begin NAME middle ARGUMENTS (between NAME middle ARGUMENTS)* end."""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from oruel.text.arguments.json import JSON
from oruel.text.arguments.syntax import ArgumentSyntax
from oruel.text.matching import alternatives

# A marker that only a call begins with.
MARKER = re.compile(r"<[^<>\s]+>|\[[A-Z_]+\]|<\|[^<>\s]+\|?>|functools\[|\]<\][a-z]+\[>\[<[^<>\s]+>")


@dataclass(frozen=True, slots=True)
class ToolFormat:
    """`between` is None if an answer has one call at most. `short_ids`: the template accepts only ids of nine letters
    and digits.
    """

    begin: str
    middle: str
    end: str
    between: str | None = None
    arguments: ArgumentSyntax = JSON
    short_ids: bool = False

    def truncate_at(self, ends: Collection[str]) -> "ToolFormat | None":
        """The format for a model that ends its turn with one of these texts; None if the model would stop inside a
        call.
        """
        first = alternatives(ends).search(self.end)
        end = self.end[: first.start()] if first else self.end
        if alternatives(ends).search(self.begin + self.middle):
            return None
        goes_on = self.between is not None and not alternatives(ends).search(self.between)
        return replace(self, end=end, between=self.between if goes_on else None)

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.begin, self.middle, self.end, self.between or "", *self.arguments.texts)

    @property
    def marker(self) -> str | None:
        """The text that only a call begins with; None if a call is only possible at the very beginning of an answer."""
        found = MARKER.match(self.begin)
        return found[0] if found else None

    @property
    def trigger(self) -> str:
        return self.marker or self.begin


HERMES = ToolFormat(
    begin='<tool_call>\n{"name": "',
    middle='", "arguments": ',
    end="}\n</tool_call>",
    between='}\n</tool_call>\n<tool_call>\n{"name": "',
)


def common_prefix(one: str, other: str) -> str:
    length = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return one[:length]


def common_suffix(one: str, other: str) -> str:
    return common_prefix(one[::-1], other[::-1])[::-1]
