"""What models of the listed families write according to their makers' documentation."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import Any

from oruel.text.dialect import ChannelDialect, Dialect, PlainDialect
from oruel.text.formats.families import FAMILIES
from oruel.text.formats.reasoning import Markers

Call = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Spoken:
    """How a family writes. `prompt` is the end of a prompt. `thinks`, `says` and `answers` write reasoning, text
    before other parts, and final text; None if the family has no such part. Each of `calls` is one way to write calls,
    more than one if `many`. `quotes`: strings are distinguishable from other values.
    """

    family: str
    prompt: str
    control: Sequence[str]
    calls: Sequence[Callable[[Sequence[Call]], str]]
    answers: Callable[[str], str] = str
    thinks: Callable[[str], str] | None = None
    says: Callable[[str], str] | None = str
    many: bool = True
    quotes: bool = True
    markers: Markers | None = None

    def dialect(self, control: Mapping[str, int]) -> Dialect:
        """The dialect of a model that ends its turn with none of these texts."""
        family = next(family for family in FAMILIES if family.name == self.family)
        if family.channels:
            return ChannelDialect(control, lambda text: tokenize(text, control), family.channels, family.formats)
        return PlainDialect(control, lambda text: tokenize(text, control), self.markers, family.formats[0])


def tokenize(text: str, control: Mapping[str, int]) -> list[int]:
    """The tokens of a text: one per byte, except for control tokens."""
    parts = re.split("(" + "|".join(map(re.escape, control)) + ")", text) if control else [text]
    return [token for part in parts for token in ([control[part]] if part in control else part.encode())]


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def harmony(header: str, between: str = "") -> Callable[[Sequence[Call]], str]:
    def written(calls: Sequence[Call]) -> str:
        return between.join(header.format(name) + as_json(given) for name, given in calls) + "<|call|>"

    return written


def bare(value: Any) -> str:
    """Strings verbatim, other values as JSON."""
    return value if isinstance(value, str) else as_json(value)


def atem(name: str, given: Mapping[str, Any]) -> str:
    tags = "".join(f'<atem:parameter name="{key}">{bare(value)}</atem:parameter>\n' for key, value in given.items())
    opened = f'<atem:function_calls>\n<atem:invoke name="{name}">\n'
    return f" to={name}<|message|>{opened}{tags}</atem:invoke>\n</atem:function_calls>"


def xtml(index: int, name: str, given: Mapping[str, Any]) -> str:
    types = {bool: "boolean", int: "number", str: "string", float: "number"}
    tags = "".join(
        f'<|open|>argument key="{key}" type="{types[type(value)]}"<|sep|>{bare(value)}<|close|>argument<|sep|>'
        for key, value in given.items()
    )
    return f'<|open|>call tool="{name}" index="{index}"<|sep|>{tags}<|close|>call<|sep|>'


def python_calls(calls: Sequence[Call], written: Callable[[Any], str]) -> str:
    words = {True: "True", False: "False"}
    texts = (
        f"{name}({', '.join(f'{key}={words[v] if isinstance(v, bool) else written(v)}' for key, v in given.items())})"
        for name, given in calls
    )
    return f"<|tool_call_start|>[{', '.join(texts)}]<|tool_call_end|>"


def in_apostrophes(value: Any) -> str:
    if not isinstance(value, str):
        return as_json(value)
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def gemma(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{gemma(value[key])}" for key in sorted(value)) + "}"
    return f'<|"|>{value}<|"|>' if isinstance(value, str) else as_json(value)


def minimax(calls: Sequence[Call]) -> str:
    mark = "]<]minimax[>["
    texts = (
        f'{mark}<invoke name="{name}">{"".join(map(element, given.items()))}{mark}</invoke>\n' for name, given in calls
    )
    return f"{mark}<tool_call>\n{''.join(texts)}{mark}</tool_call>"


def element(entry: tuple[str, Any]) -> str:
    key, value = entry
    return f"]<]minimax[>[<{key}>{bare(value)}]<]minimax[>[</{key}>"


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
    Spoken(
        "Functionary 3.2",
        prompt="<|start_header_id|>assistant<|end_header_id|>\n\n>>>",
        control=[],
        calls=[lambda calls: ">>>".join(f"{name}\n{as_json(given)}" for name, given in calls)],
        answers="all\n{}".format,
        says="all\n{}>>>".format,
    ),
    Spoken(
        "Solar Open",
        prompt="<|begin|>assistant",
        control=[
            "<|begin|>",
            "<|end|>",
            "<|think|>",
            "<|content|>",
            "<|tool_calls|>",
            "<|calls|>",
            "<|tool_call:begin|>",
            "<|tool_call:name|>",
            "<|tool_call:args|>",
            "<|tool_call:end|>",
        ],
        calls=[
            lambda calls: (
                "<|tool_calls|>"
                + "".join(
                    f"<|tool_call:begin|>ab12cd34e{place}<|tool_call:name|>{name}<|tool_call:args|>{as_json(given)}<|tool_call:end|>"
                    for place, (name, given) in enumerate(calls)
                )
                + "<|calls|>"
            )
        ],
        thinks="<|think|>{}<|end|><|begin|>assistant".format,
        says=None,
        answers="<|content|>{}<|end|>".format,
    ),
    Spoken(
        "Muse Glimmer",
        prompt="<|start|>assistant",
        control=["<|start|>", "<|message|>", "<|eom|>", "<|eot|>"],
        calls=[lambda calls: "<|eom|><|start|>assistant".join(starmap(atem, calls)) + "<|eot|>"],
        quotes=False,
        thinks=" to=self<|message|>{}<|eom|><|start|>assistant".format,
        says=" to=user<|message|>{}<|eom|><|start|>assistant".format,
        answers=" to=user<|message|>{}<|eot|>".format,
    ),
    Spoken(
        "Kimi K3",
        prompt='<|open|>message role="assistant"<|sep|>',
        control=["<|open|>", "<|close|>", "<|sep|>", "<|end_of_msg|>"],
        calls=[
            lambda calls: (
                "<|open|>tools<|sep|>"
                + "".join(xtml(place, *call) for place, call in enumerate(calls, 1))
                + "<|close|>tools<|sep|><|close|>message<|sep|><|end_of_msg|>"
            )
        ],
        thinks="<|open|>think<|sep|>{}<|close|>think<|sep|>".format,
        says="<|open|>response<|sep|>{}<|close|>response<|sep|>".format,
        answers="<|open|>response<|sep|>{}<|close|>response<|sep|><|close|>message<|sep|><|end_of_msg|>".format,
    ),
    Spoken(
        "LFM2",
        prompt="<|im_start|>assistant\n",
        control=["<|tool_call_start|>", "<|tool_call_end|>"],
        calls=[lambda calls: python_calls(calls, as_json), lambda calls: python_calls(calls, in_apostrophes)],
        says=None,
    ),
    Spoken(
        "LFM2",
        prompt="<|im_start|>assistant\n",
        control=["<|tool_call_start|>", "<|tool_call_end|>", "<think>", "</think>"],
        calls=[lambda calls: python_calls(calls, in_apostrophes)],
        thinks="<think>{}</think>".format,
        markers=Markers("<think>", "</think>"),
    ),
    Spoken(
        "Gemma 4",
        prompt="<|turn>model\n",
        control=["<|tool_call>", "<tool_call|>", '<|"|>', "<|channel>", "<channel|>"],
        calls=[lambda calls: "".join(f"<|tool_call>call:{name}{gemma(given)}<tool_call|>" for name, given in calls)],
        thinks="<|channel>thought\n{}\n<channel|>".format,
        markers=Markers("<|channel>thought", "<channel|>"),
    ),
    Spoken(
        "Granite 3.3",
        prompt="<|start_of_role|>assistant<|end_of_role|>",
        control=["<|tool_call|>"],
        calls=[lambda calls: "<|tool_call|>" + as_json([{"name": name, "arguments": given} for name, given in calls])],
    ),
    Spoken(
        "Firefunction 2",
        prompt="<|start_header_id|>assistant<|end_header_id|>\n\n",
        control=[],
        calls=[lambda calls: "functools" + as_json([{"name": name, "arguments": given} for name, given in calls])],
    ),
    Spoken(
        "MiniMax M3",
        prompt="]~b]ai\n",
        control=["]<]minimax[>[", "<mm:think>", "</mm:think>"],
        calls=[minimax],
        quotes=False,
        thinks="<mm:think>{}</mm:think>".format,
        markers=Markers("<mm:think>", "</mm:think>"),
    ),
)
