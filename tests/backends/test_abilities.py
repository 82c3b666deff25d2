"""For every parameter of the contract and every kind of server: exact, different or refused. `python -m
tests.backends.test_abilities` regenerates the table of docs/catalog.md.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from oruel.api.chat.body import parse_chat
from oruel.backends.abilities import DIFFERS, REFUSED, ParameterSupport, verdict
from oruel.contract.parameters import PARAMETERS
from oruel.router.catalog import Catalog, ModelCard
from oruel.types import ChatRequest, UpstreamKind

CATALOG_PAGE = Path(__file__).parent.parent.parent / "docs" / "catalog.md"
TABLE = re.compile(r"(?<=tests/backends/test_abilities.py -->\n).*?(?=<!-- end of abilities -->)", re.DOTALL)

KINDS: tuple[UpstreamKind, ...] = get_args(UpstreamKind)
CATALOG = Catalog((ModelCard("m", None, None, 0, template_kwargs=("thinks",)),))
OF_SIGN = {"=": "exact", "~": "differs", "x": "refused"}

Fields = dict[str, Any]


def function(name: str, **more: Any) -> Fields:
    return {"type": "function", "function": {"name": name, **more}}


NAMED = function("g")
TOOLS = {"tools": [function("f"), function("g", parameters={"type": "object"})]}
STRICT = {"tools": [function("f", strict=True)]}
JSON: Fields = {"type": "json_object"}
SCHEMA: Fields = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}
STRICT_SCHEMA: Fields = {"type": "json_schema", "json_schema": {**SCHEMA["json_schema"], "strict": True}}

# The verdict on the first field, for vllm, sglang, llama-server, openai and oruel. The default temperature is 0.7.
ROWS: list[tuple[Fields, str]] = [
    ({"temperature": 0}, "====="),
    ({"temperature": 1e-40}, "~~==="),
    ({"temperature": 0.005}, "~===="),
    ({"temperature": 0.005, "top_k": 1}, "====="),
    ({"temperature": 0.01}, "====="),
    ({"temperature": 2}, "====="),
    ({"top_p": 0}, "====="),
    ({"top_p": 0, "seed": 5}, "====="),
    ({"top_p": 0.5}, "===~="),
    ({"top_p": 0.5, "temperature": 1}, "====="),
    ({"top_p": 0.5, "temperature": 0}, "====="),
    ({"top_p": 0.5, "top_k": 40, "temperature": 1}, "=~==="),
    ({"top_p": 0.5, "top_k": 40, "temperature": 0}, "====="),
    ({"top_p": 1}, "====="),
    ({"top_k": 0}, "====="),
    ({"top_k": 1}, "====="),
    ({"top_k": 40}, "===x="),
    ({"top_k": 40, "temperature": 0}, "====="),
    ({"top_k": 200}, "===x="),
    ({"min_p": 0}, "====="),
    ({"min_p": 0.1}, "===x="),
    ({"min_p": 0.1, "top_p": 0.5}, "~==x="),
    ({"min_p": 0.1, "top_k": 40}, "===x="),
    ({"min_p": 0.1, "top_p": 0.5, "temperature": 0}, "====="),
    ({"min_p": 1}, "===x="),
    ({"seed": 7}, "~~~~="),
    ({"seed": -1}, "~~~~="),
    ({"seed": -(2**63)}, "~~~~="),
    ({"seed": 2**63 - 1}, "~~~~="),
    ({"seed": 7, "temperature": 0}, "====="),
    ({"seed": 7, "top_k": 1}, "====="),
    ({"max_tokens": 1}, "====="),
    ({"max_tokens": 131072}, "====="),
    ({"max_completion_tokens": 5}, "====="),
    ({"stop": "END"}, "====="),
    ({"stop": ["a", "b", "c", "d" * 256]}, "====="),
    ({"stop": ["ab", "bc"]}, "===~="),
    ({"stop": ["abc", "b"]}, "===~="),
    ({"stop": "END", **TOOLS}, "===~="),
    ({"stop": "END", **TOOLS, "tool_choice": "none"}, "====="),
    ({"stop": []}, "====="),
    ({"frequency_penalty": 0.5}, "=~~~="),
    ({"frequency_penalty": -2}, "=~~~="),
    ({"frequency_penalty": 2, "temperature": 0}, "=~~~="),
    ({"frequency_penalty": 0}, "====="),
    ({"presence_penalty": 0.5}, "=~~~="),
    ({"presence_penalty": -2}, "=~~~="),
    ({"presence_penalty": 2, "temperature": 0}, "=~~~="),
    ({"presence_penalty": 0}, "====="),
    ({"repetition_penalty": 1}, "====="),
    ({"repetition_penalty": 0.1}, "~~~x="),
    ({"repetition_penalty": 1.1, "temperature": 0}, "~~~x="),
    ({"repetition_penalty": 2}, "~~~x="),
    ({"repetition_penalty": 2.1}, "~x~x="),
    ({"repetition_penalty": 3}, "~x~x="),
    ({"response_format": {"type": "text"}}, "====="),
    ({"response_format": JSON}, "~~~~="),
    ({"response_format": SCHEMA}, "~~~~="),
    ({"response_format": STRICT_SCHEMA}, "~~~~="),
    ({"response_format": SCHEMA, **TOOLS}, "xxx~="),
    ({"response_format": SCHEMA, **TOOLS, "tool_choice": "required"}, "~~~~="),
    ({"stream": True}, "====="),
    ({"stream_options": {"include_usage": True}, "stream": True}, "====="),
    (TOOLS, "~~~~="),
    ({**TOOLS, "tool_choice": "none"}, "====="),
    ({**TOOLS, "parallel_tool_calls": False}, "~~~~="),
    ({**STRICT, "parallel_tool_calls": True}, "~~~~="),
    ({**STRICT, "parallel_tool_calls": False}, "~~~=="),
    ({"tools": []}, "====="),
    ({"tool_choice": "none", **TOOLS}, "====="),
    ({"tool_choice": "auto", **TOOLS}, "====="),
    ({"tool_choice": "required", **TOOLS}, "~~~=="),
    ({"tool_choice": NAMED, **TOOLS}, "~~~=="),
    ({"parallel_tool_calls": True, **TOOLS}, "====="),
    ({"parallel_tool_calls": False, **TOOLS}, "=~~=="),
    ({"parallel_tool_calls": False, **TOOLS, "tool_choice": "required"}, "=~~=="),
    ({"parallel_tool_calls": False}, "====="),
    ({"tier": "standard"}, "====="),
    ({"tier": "turbo"}, "====="),
    ({"n": 8}, "====="),
    ({"n": 2, "temperature": 0}, "====="),
    ({"logprobs": False}, "====="),
    ({"logprobs": True}, "~~~~="),
    ({"logprobs": True, "temperature": 0}, "~~~~="),
    ({"logprobs": True, **TOOLS}, "~~x~="),
    ({"logprobs": True, **TOOLS, "tool_choice": "none"}, "~~~~="),
    ({"top_logprobs": 0, "logprobs": True}, "====="),
    ({"top_logprobs": 20, "logprobs": True}, "====="),
    ({"logit_bias": {}}, "====="),
    ({"logit_bias": {"5": -100}}, "==~=="),
    ({"logit_bias": {"5": 2.5}, "frequency_penalty": 1, "presence_penalty": 1}, "==~=="),
    ({"logit_bias": {str(token): 100 for token in range(1024)}}, "==~=="),
    ({"logit_bias": {"5": 1}, "repetition_penalty": 1.1}, "=~~=="),
    ({"chat_template_kwargs": {}}, "====="),
    ({"chat_template_kwargs": {"thinks": True}}, "===x="),
    ({"trace": {"top": 1}}, "xxxxx"),
]

CASES = [
    pytest.param(kind, fields, OF_SIGN[sign], id=f"{kind}-{str(fields)[:60]}")
    for fields, signs in ROWS
    for kind, sign in zip(KINDS, signs, strict=True)
]


def request_of(**fields: Any) -> ChatRequest:
    messages = [{"role": "user", "content": "Answer in JSON."}]
    return parse_chat({"model": "m", "messages": messages, **fields}, CATALOG).request


def outcome_of(found: ParameterSupport, name: str) -> str:
    return "refused" if name in found.refused else "differs" if name in found.differs else "exact"


@pytest.mark.parametrize(("kind", "fields", "expected"), CASES)
def test_each_kind_supports_each_parameter_as_listed(kind: UpstreamKind, fields: Fields, expected: str) -> None:
    assert outcome_of(verdict(kind, request_of(**fields)), next(iter(fields))) == expected


@pytest.mark.parametrize("fields", [fields for fields, _ in ROWS], ids=lambda fields: str(fields)[:60])
def test_only_parameters_of_the_request_are_listed(fields: Fields) -> None:
    for kind in KINDS:
        found = verdict(kind, request_of(**fields))
        assert fields.keys() >= {*found.differs, *found.refused}
        assert not set(found.differs) & set(found.refused)


def test_every_parameter_of_the_contract_has_a_row() -> None:
    assert {next(iter(fields)) for fields, _ in ROWS} == {one.name for one in PARAMETERS}


def test_every_limit_names_a_parameter_and_has_a_row() -> None:
    met = {
        (kind, outcome, name)
        for fields, _ in ROWS
        for kind in KINDS
        for found in [verdict(kind, request_of(**fields))]
        for outcome, names in (("differs", found.differs), ("refused", found.refused))
        for name in names
    }
    limits = (("differs", DIFFERS), ("refused", REFUSED))
    assert met == {(kind, outcome, name) for outcome, of in limits for kind in KINDS for name in of[kind]}


def lines(name: str) -> Iterator[str]:
    """The rows of the table for a parameter. Kinds with the same limit share a row."""
    kinds_of: dict[str, list[str]] = {}
    for of, outcome in ((DIFFERS, ""), (REFUSED, "refused")):
        for kind in KINDS:
            if limit := of[kind].get(name):
                kinds_of.setdefault(" ".join(filter(None, (outcome, limit.how))), []).append(kind)
    for how, kinds in kinds_of.items():
        yield f"| `{name}` | {', '.join(kinds)} | {how} |"


def table() -> str:
    rows = [line for one in PARAMETERS for line in lines(one.name)]
    return "\n".join(["| parameter | kind | when, and what differs |", "|---|---|---|", *rows, ""])


def test_the_documented_table_matches_the_code() -> None:
    assert TABLE.findall(CATALOG_PAGE.read_text()) == [table()], "rewrite it: python -m tests.backends.test_abilities"


if __name__ == "__main__":
    CATALOG_PAGE.write_text(TABLE.sub(lambda _: table(), CATALOG_PAGE.read_text()))
