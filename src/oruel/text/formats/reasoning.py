"""Reasoning before an answer: its markers, and whether a prompt has opened it."""

from dataclasses import dataclass
from enum import Enum, auto


@dataclass(frozen=True, slots=True)
class Markers:
    open: str
    close: str


KNOWN = (
    Markers("<think>", "</think>"),
    Markers("[THINK]", "[/THINK]"),
    Markers("<seed:think>", "</seed:think>"),
    Markers("<|START_THINKING|>", "<|END_THINKING|>"),
    Markers("<|inner_prefix|>", "<|inner_suffix|>"),
    Markers("<ifm|think>", "</ifm|think>"),
    Markers("<mm:think>", "</mm:think>"),
    Markers("<|channel>thought", "<channel|>"),
)


class State(Enum):
    """How an answer begins: with text, inside reasoning, or with either, as the model chooses."""

    TEXT = auto()
    REASONING = auto()
    EITHER = auto()


def find_markers(template: str) -> Markers | None:
    return next((markers for markers in KNOWN if markers.open in template and markers.close in template), None)


def state_after(prompt: str, markers: Markers | None) -> State:
    """The end of `prompt` is enough."""
    if markers is None or prompt.rstrip().endswith(markers.close):
        return State.TEXT
    return State.REASONING if prompt.rstrip().endswith(markers.open) else State.EITHER


def without_reasoning(text: str) -> str:
    """The text without an empty pair of markers at its beginning."""
    for markers in KNOWN:
        inside, closed, after = text.lstrip().removeprefix(markers.open).partition(markers.close)
        if text.lstrip().startswith(markers.open) and closed and not inside.strip():
            return after
    return text
