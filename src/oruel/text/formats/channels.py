"""Answers in parts, each with a header that says what it is: reasoning, content, or a call."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from oruel.text.formats.reasoning import State
from oruel.text.matching import alternatives
from oruel.text.placeholders import CONSTRAIN, KIND

MARK = re.compile(r"<\|[^<>|]+\|>")


@dataclass(frozen=True, slots=True)
class ChannelPart:
    """`open` is the header. `close` ends the part; empty if only the model's end token does."""

    open: str
    close: str


@dataclass(frozen=True, slots=True)
class Channels:
    """`aside` is content with more parts after it; `final` is content that ends the answer. `separator` is the text
    between a part's close and the next header.
    """

    final: ChannelPart
    reasoning: ChannelPart | None = None
    aside: ChannelPart | None = None
    separator: str = ""

    def truncate_at(self, ends: Collection[str]) -> "Channels":
        """The channels of a model that ends its turn with one of these texts: a part closed by one is the last."""
        end = alternatives(ends)
        found = end.search(self.final.close)
        close = self.final.close[: found.start()] if found else self.final.close
        reasoning, aside = (
            part if part and not end.search(part.close) else None for part in (self.reasoning, self.aside)
        )
        return replace(self, final=replace(self.final, close=close), reasoning=reasoning, aside=aside)

    def state_after(self, prompt: str) -> State:
        """EITHER if a header comes next. The end of `prompt` is enough."""
        if self.reasoning and prompt.endswith(self.reasoning.open):
            return State.REASONING
        return State.TEXT if prompt.endswith(self.final.open) else State.EITHER

    @property
    def texts(self) -> tuple[str, ...]:
        return (*(text for part in self.parts for text in (part.open, part.close)), self.separator)

    @property
    def parts(self) -> Iterator[ChannelPart]:
        yield from (part for part in (self.reasoning, self.aside, self.final) if part)


def find_marks(texts: Iterable[str]) -> list[str]:
    """The markers in these texts that are single tokens in most vocabularies."""
    return sorted({mark for text in texts for mark in MARK.findall(text.replace(KIND, CONSTRAIN))})
