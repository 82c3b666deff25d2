"""What models of the families that are entered by hand write, as their makers document it: for tests of both."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oruel.text.dialect import Channelled, Dialect, Plain
from oruel.text.reasoning import Markers
from oruel.text.tools.families import FAMILIES

Call = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Spoken:
    """`prompt` is how one ends. `thinks`, `says` and `answers` write reasoning, text before more and text at the end,
    None where there is none of the kind; each of `calls` writes calls in one way, several where `many`.
    """

    family: str
    prompt: str
    control: Sequence[str]
    calls: Sequence[Callable[[Sequence[Call]], str]]
    answers: Callable[[str], str] = str
    thinks: Callable[[str], str] | None = None
    says: Callable[[str], str] | None = str
    many: bool = True
    markers: Markers | None = None

    def dialect(self, control: Mapping[str, int]) -> Dialect:
        """As for a model that ends its turn with none of these texts."""
        family = next(family for family in FAMILIES if family.name == self.family)
        if family.channels:
            return Channelled(control, lambda text: spelt(text, control), family.channels, family.formats)
        return Plain(control, lambda text: spelt(text, control), self.markers, family.formats[0])


def spelt(text: str, control: Mapping[str, int]) -> list[int]:
    """The tokens of a text, each byte its own, beside the control tokens."""
    parts = re.split("(" + "|".join(map(re.escape, control)) + ")", text) if control else [text]
    return [token for part in parts for token in ([control[part]] if part in control else part.encode())]


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def harmony(header: str, between: str = "") -> Callable[[Sequence[Call]], str]:
    def written(calls: Sequence[Call]) -> str:
        return between.join(header.format(name) + as_json(given) for name, given in calls) + "<|call|>"

    return written


HARMONY: Mapping[str, Any] = {
    "prompt": "<|start|>assistant",
    "control": [
        "<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|constrain|>", "<|return|>", "<|call|>",
    ],
    "thinks": "<|channel|>analysis<|message|>{}<|end|><|start|>assistant".format,
    "says": "<|channel|>commentary<|message|>{}<|end|><|start|>assistant".format,
    "answers": "<|channel|>final<|message|>{}<|return|>".format,
}  # fmt: skip

SPOKEN = (
    Spoken(
        "Harmony",
        calls=[
            harmony(" to=functions.{}<|channel|>commentary json<|message|>"),
            harmony(" to=functions.{}<|channel|>commentary <|constrain|>json<|message|>"),
            harmony("<|channel|>commentary to=functions.{} <|constrain|>json<|message|>"),
            harmony("<|channel|>commentary to=functions.{}<|constrain|>json<|message|>"),
            harmony("<|channel|>commentary to=functions.{}<|message|>"),
        ],
        many=False,
        **HARMONY,
    ),
    Spoken(
        "Harmony with several calls",
        calls=[
            harmony(" to=functions.{}<|channel|>commentary <|constrain|> json<|message|>", "<|end|><|start|>assistant"),
        ],
        **HARMONY,
    ),
)
