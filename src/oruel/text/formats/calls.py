"""How a model writes calls of functions: begin NAME middle ARGUMENTS (between NAME middle ARGUMENTS)* end."""

import re
from collections.abc import Collection
from dataclasses import astuple, dataclass, replace

from oruel.text.arguments.elements import ElementSyntax
from oruel.text.arguments.quoted import QuotedSyntax
from oruel.text.matching import alternatives

# What a text may be that nothing but a call begins with.
MARKER = re.compile(r"<[^<>\s]+>|\[[A-Z_]+\]|<\|[^<>\s]+\|?>|functools\[|\]<\][a-z]+\[>\[<[^<>\s]+>")


@dataclass(frozen=True, slots=True)
class TagSyntax:
    """Arguments as tags: (before_key KEY after_key VALUE after_value)*. Strings stand as they are, other values as
    JSON, behind a tag of its own where `after_key_json` says so; where that names the value's TYPE, it decides.
    """

    before_key: str
    after_key: str
    after_value: str
    after_key_json: str


@dataclass(frozen=True, slots=True)
class ToolFormat:
    """`between` None: one call only. The arguments are a JSON object, unless they are `tagged`, have a `spelling` of
    their own or are `elements`. `short_ids`: the template takes ids of nine letters and digits only.
    `exact`: a schema that can't be held is refused.
    """

    begin: str
    middle: str
    end: str
    between: str | None = None
    tagged: TagSyntax | None = None
    short_ids: bool = False
    spelling: QuotedSyntax | None = None
    elements: ElementSyntax | None = None
    exact: bool = False

    def before(self, ends: Collection[str]) -> "ToolFormat | None":
        """The format of a model that ends its turn with one of these texts; None where it can't get to a call's end."""
        first = alternatives(ends).search(self.end)
        end = self.end[: first.start()] if first else self.end
        if alternatives(ends).search(self.begin + self.middle):
            return None
        goes_on = self.between is not None and not alternatives(ends).search(self.between)
        return replace(self, end=end, between=self.between if goes_on else None)

    @property
    def texts(self) -> tuple[str, ...]:
        tags = astuple(self.tagged) if self.tagged else ()
        return (
            self.begin,
            self.middle,
            self.end,
            self.between or "",
            *tags,
            self.spelling.quote if self.spelling else "",
        )

    @property
    def marker(self) -> str | None:
        """The text that nothing but a call begins with; None where only an answer's very beginning can be a call."""
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


def common_start(one: str, other: str) -> str:
    length = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return one[:length]


def common_end(one: str, other: str) -> str:
    return common_start(one[::-1], other[::-1])[::-1]
