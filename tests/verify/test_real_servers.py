"""The verdicts measured on real servers agree with what backends/abilities.py says of them, and with docs/verify.md."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from oruel.backends.abilities import DIFFERS
from oruel.types import UpstreamKind
from oruel.verify.checks import CHECKS
from tests.verify.real_servers import PAGE, TABLES, measured, tables

Statement = tuple[str, str]
"""A parameter, and a part of what backends/abilities.py says of it."""
Found = tuple[str, str]
"""The name of a check, and a part of its verdict."""

CUT = "differs: a document cut by max_tokens isn't closed"
PROMPT = "differs: the prompt is counted"
NO_CALL = "differs: no call begins within 200 tokens, only text comes"
PARSER = "enforcement depends on the model's tool call parser"
CALL = "required or named: whether a call is guaranteed depends on the model's tool call parser"
DOCUMENTS = ("response_format.json_object", "response_format.json_object_cut", "response_format.json_schema_cut")

# The verdicts that show each statement, measured with Oru'el in front of the server. One of them is enough: which
# documents are cut, or fail, varies by run.
SHOWN: Mapping[UpstreamKind, Mapping[Statement, set[Found]]] = {
    "vllm": {
        ("min_p", "with top_p: applied before top_p, not after it"): {
            ("min_p.beside_top_p", "differs: min_p acts first, and top_p on what it left")
        },
        ("repetition_penalty", "also counts the tokens of the prompt"): {("repetition_penalty.prompt", PROMPT)},
        ("logprobs", "computed after the grammar mask"): {
            ("logprobs.before_parameters", "differs: they are reported after response_format")
        },
        ("response_format", "a document cut by max_tokens is not closed"): {(name, CUT) for name in DOCUMENTS},
    },
    "llama-server": {
        ("frequency_penalty", "also counts the tokens of the prompt"): {("frequency_penalty.prompt", PROMPT)},
        ("presence_penalty", "also counts the tokens of the prompt"): {("presence_penalty.prompt", PROMPT)},
        ("repetition_penalty", "also counts the tokens of the prompt"): {("repetition_penalty.prompt", PROMPT)},
        ("response_format", "a document cut by max_tokens is not closed"): {(name, CUT) for name in DOCUMENTS},
        ("response_format", "at high temperatures some documents fail with status 502"): {
            (name, "differs: some answers fail with status 502") for name in DOCUMENTS
        },
        ("tool_choice", CALL): {("tool_choice.named", NO_CALL), ("tool_choice.required", NO_CALL)},
        ("parallel_tool_calls", "false: some parsers still return several calls"): {
            ("parallel_tool_calls", "ignored: false still gives several calls")
        },
    },
}

OWN_NUMBERS = "the same seed gives the same answer, though not that of Oru'el's own engine"
NEVER_SEEN = "no answer depended on other requests on the CPU that was measured"
LITTLE_ASKED = "the checks send only common keywords, and accept any whitespace"
CALLS_MATCHED = "the arguments matched their schemas wherever there was a call"

# Statements that no check tests, and why.
NOT_SHOWN: Mapping[UpstreamKind, Mapping[Statement, str]] = {
    "vllm": {
        ("temperature", "below 0.01: treated as 0.01"): "the checks draw at 0.1 and above",
        ("seed", "uses its own random numbers"): OWN_NUMBERS,
        ("seed", "results may also depend on concurrent requests"): NEVER_SEEN,
        ("logprobs", "a character's bytes are reported with its last token"): "the entries still join to the text",
        (
            "logprobs",
            "with top_logprobs 20, the last entry may be the chosen token in place of a more probable one",
        ): "nothing in the answer tells that an entry is missing",
        ("response_format", "whitespace and unknown keywords are up to the server"): LITTLE_ASKED,
        ("tools", f"arguments may be malformed or not match their schemas: {PARSER}"): CALLS_MATCHED,
        ("tool_choice", CALL): "with the parser hermes, every call that was required came",
    },
    "llama-server": {
        ("seed", "uses its own random numbers"): OWN_NUMBERS,
        ("seed", "results may also depend on concurrent requests"): NEVER_SEEN,
        ("logprobs", "tokens that end inside a character share one entry"): "the entries still join to the text",
        ("logit_bias", "ids outside the vocabulary are ignored, not refused"): "the checks send only ids within it",
        ("response_format", "whitespace and unknown keywords are up to the server"): LITTLE_ASKED,
        ("tools", f"arguments may be malformed or not match their schemas: {PARSER}"): CALLS_MATCHED,
        ("tool_choice", "if a function is named, the prompt describes only that one"): "no check sees the prompt",
    },
}

KINDS: tuple[UpstreamKind, ...] = ("vllm", "llama-server")


def statements(kind: UpstreamKind) -> set[Statement]:
    """Without what Oru'el refuses itself, as no server is asked for it."""
    return {(name, part) for name, limit in DIFFERS[kind].items() for part in limit.how.split("; ")}


def verdicts(server: str) -> Mapping[str, str]:
    """In the profile oruel, by the name of the check."""
    found: Mapping[str, Any] = measured()[server]["oruel"]
    return dict(found["verdicts"])


def faults(server: str) -> Iterator[Found]:
    for name, words in verdicts(server).items():
        outcome, _, how = words.partition(": ")
        if outcome not in ("honoured", "can't tell"):
            yield from ((name, f"{outcome}: {part}") for part in how.split("; "))


@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_measured_behind_oru_el_is_a_difference_that_is_listed(kind: UpstreamKind) -> None:
    assert set(faults(f"oruel-before-{kind}")) <= set().union(*SHOWN[kind].values())


@pytest.mark.parametrize("kind", KINDS)
def test_every_listed_difference_was_measured_or_has_a_reason_why_not(kind: UpstreamKind) -> None:
    assert not SHOWN[kind].keys() & NOT_SHOWN[kind].keys()
    assert SHOWN[kind].keys() | NOT_SHOWN[kind].keys() == statements(kind)
    measured_faults = set(faults(f"oruel-before-{kind}"))
    assert [statement for statement, found in SHOWN[kind].items() if not found & measured_faults] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_verdict_shows_a_difference_of_its_own_parameter(kind: UpstreamKind) -> None:
    parameter_of = {check.name: check.parameter for check in CHECKS}
    for (parameter, _), found in SHOWN[kind].items():
        assert {parameter_of[name] for name, _ in found} == {parameter}


def test_oru_el_itself_honours_every_check_of_its_contract() -> None:
    assert set(verdicts("oruel").values()) == {"honoured"}


def test_every_measured_check_still_exists() -> None:
    names = {name for runs in measured().values() for run in runs.values() for name in run["verdicts"]}
    assert names <= {check.name for check in CHECKS}


def test_the_tables_of_real_servers_match_the_data() -> None:
    assert TABLES.findall(PAGE.read_text()) == [tables()], "rewrite them with python -m tests.verify.real_servers"
