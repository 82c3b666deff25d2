"""`oruel explain`: what it asks for, and how the trace of each token looks in the terminal and as JSON."""

import json
from typing import Any, get_args

import pytest

from oruel.cli.trace_tables import SOURCES
from oruel.contract.parameters import PARAMETERS
from oruel.types import TokenSource
from tests.cli.chat_server import DONE, ChatServer, chunk, event, json_reply, text_stream, usage
from tests.cli.command_line import CommandLine, Completed
from tests.server import oruel_serve

ALL_STEPS = [
    "mask", "logit_bias", "repetition_penalty", "frequency_penalty", "presence_penalty", "temperature", "top_k",
    "top_p", "min_p",
]  # fmt: skip


def candidate(token: str, after: list[float], **more: Any) -> dict[str, Any]:
    given = {"id": sum(token.encode()), "token": token, "bytes": list(token.encode())}
    own = {"logit": 14.25, "bias": 0, "count": 1, "probability": 0.51, "after": after, "removed_by": None}
    return given | own | more


def traced(token: str = " sea", **more: Any) -> dict[str, Any]:
    """The example of docs/trace.md, with another token if one is named."""
    chosen = candidate(token, [0.43, 0.55, 0.58])
    other = candidate(
        " moor", [0.041, 0.021, 0], logit=11.5, count=0, probability=0.033, removed_by=more.pop("removed_by", "top_p")
    )
    return {
        "id": chosen["id"],
        "token": token,
        "bytes": chosen["bytes"],
        "source": "drawn",
        "vocabulary_size": 1000,
        "steps": ["frequency_penalty", "temperature", "top_p"],
        "candidates": [chosen, other],
        "survivors": {"count": 7, "mass": 0.93},
        "allowed": {"count": 3072, "mass": 1.0},
        "rest": {"low": -9.5, "high": 11.25, "counts": [2, 0, 5], "masses": [1e-9, 0, 3e-9]},
        "draw": {"u": 0.3127, "low": 0.12, "high": 0.70},
        "entropy": {"before": 2.31, "after": 1.62},
    } | more


def traced_chunk(*entries: dict[str, Any]) -> bytes:
    text = "".join(entry["token"] for entry in entries)
    return event({"model": "tiny-1", "choices": [{"index": 0, "delta": {"content": text}, "trace": list(entries)}]})


def reply_with_trace(server: ChatServer, *entries: dict[str, Any]) -> None:
    server.reply_with(*map(traced_chunk, entries), chunk(finish="stop"), usage(3, len(entries)), DONE)


def explain(oruel: CommandLine, server: ChatServer, *arguments: str, width: int = 80) -> Completed:
    return oruel.call("explain", "--base-url", server.base_url, *arguments, COLUMNS=str(width))


def shown(oruel: CommandLine, server: ChatServer, *entries: dict[str, Any], width: int = 80) -> str:
    reply_with_trace(server, *entries)
    done = explain(oruel, server, "x", width=width)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


EXPECTED = """\
1  ' sea'  drawn at random
                                    frequency
  token     logit   count   model     penalty   temperature     top_p
─────────────────────────────────────────────────────────────────────
> ' sea'    14.25       1   51.0%       43.0%         55.0%     58.0%
  ' moor'   11.50       0    3.3%        4.1%          2.1%   removed
  0 ───━━━━━━━┿━━━━━━━━━━━━───────── 1  0.3127 is between 0.1200 and 0.7000
  entropy 2.31 to 1.62 bits; 7 tokens left, 93.0% of the model's probability

 sea
"""


def test_a_token_is_a_table_of_its_candidates_through_the_steps(oruel: CommandLine, server: ChatServer) -> None:
    lines = [line.rstrip() for line in shown(oruel, server, traced()).splitlines()]
    assert lines == EXPECTED.splitlines()


def test_each_token_has_its_table_and_the_text_comes_last(oruel: CommandLine, server: ChatServer) -> None:
    output = shown(oruel, server, traced("The"), traced(" sea"), traced("."))
    assert [line.split()[0] for line in output.splitlines() if "drawn at random" in line] == ["1", "2", "3"]
    assert output.endswith("\n\nThe sea.\n")


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_narrow_terminal_gets_all_steps_in_several_tables(oruel: CommandLine, server: ChatServer, width: int) -> None:
    probabilities = [0.10 + 0.01 * step for step in range(9)]
    candidates = [candidate(" sea", probabilities), candidate(" lake", probabilities, removed_by="min_p")]
    entry = traced(steps=ALL_STEPS, candidates=candidates)
    output = shown(oruel, server, entry, width=width)
    assert max(map(len, output.splitlines())) <= width
    assert "…" not in output
    rows = [line.split() for line in output.splitlines() if line.startswith("> ' sea'")]
    cells = [cell for row in rows for cell in row if cell.endswith("%")]
    assert cells == ["51.0%", *(f"{100 * probability:.1f}%" for probability in probabilities)]
    for step in ALL_STEPS:
        assert set(step.split("_")) <= set(output.split()) or step in output


def test_a_wide_terminal_gets_one_table(oruel: CommandLine, server: ChatServer) -> None:
    probabilities = [0.1] * 9
    output = shown(oruel, server, traced(steps=ALL_STEPS, candidates=[candidate(" sea", probabilities)]), width=140)
    assert len([line for line in output.splitlines() if line.startswith(">")]) == 1


def test_nothing_is_shown_of_a_candidate_after_its_removal(oruel: CommandLine, server: ChatServer) -> None:
    output = shown(oruel, server, traced(removed_by="temperature", source="greedy", draw=None))
    (row,) = [line.rstrip() for line in output.splitlines() if "' moor'" in line]
    assert row.endswith("4.1%       removed")
    assert "1  ' sea'  the most probable token" in output
    assert "━" not in output


def test_the_source_of_each_token_is_told_in_words(oruel: CommandLine, server: ChatServer) -> None:
    assert set(SOURCES) == set(get_args(TokenSource))
    bare: dict[str, Any] = {
        "steps": [],
        "candidates": [],
        "survivors": None,
        "allowed": None,
        "draw": None,
        "entropy": None,
    }
    output = shown(oruel, server, *(traced(source=source) for source in SOURCES), traced(**bare, source="prefix"))
    for words in SOURCES.values():
        assert words in output


def test_a_mask_and_a_bias_are_shown_where_they_act(oruel: CommandLine, server: ChatServer) -> None:
    candidates = [candidate(" sea", [0.5, 0.6], bias=-2.5), candidate(" moor", [0, 0], logit=None, removed_by="mask")]
    output = shown(
        oruel,
        server,
        traced(steps=["mask", "logit_bias"], candidates=candidates, allowed={"count": 1200, "mass": 0.031}),
    )
    assert "the mask allows 1,200 tokens, 3.1% of the model's probability" in output
    assert [line.split()[2:5] for line in output.splitlines() if line.startswith(">")] == [["sea'", "14.25", "-2.5"]]
    assert "-inf" in output
    assert "bias" not in shown(oruel, server, traced())


def test_tokens_cannot_change_the_terminal(oruel: CommandLine, server: ChatServer) -> None:
    part = candidate("\N{REPLACEMENT CHARACTER}", [0.1, 0.1, 0.1], bytes=[0xE2, 0x80])
    nameless = candidate("", [0.1, 0.1, 0.1], id=3071)
    odd = traced("\x1b[2J\n", candidates=[candidate("\x1b[2J\n", [0.5, 0.5, 0.5]), part, nameless])
    server.reply_with(traced_chunk(odd), chunk(finish="stop"), DONE)
    tables = explain(oruel, server, "x").stdout.decode().rpartition("entropy")[0]
    assert "\x1b" not in tables
    for token in (r"'\x1b[2J\n'", r"b'\xe2\x80'", "id 3071"):
        assert token in tables


def test_json_is_the_trace_as_the_server_sent_it(oruel: CommandLine, server: ChatServer) -> None:
    entries = [traced("The"), traced(" sea", new_field=1)]
    reply_with_trace(server, *entries)
    done = explain(oruel, server, "x", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == entries
    assert len(done.stdout.splitlines()) == 4, "one line for each token"


def test_prompt_parameters_and_top_are_sent(oruel: CommandLine, server: ChatServer) -> None:
    reply_with_trace(server, traced())
    reply_with_trace(server, traced())
    explain(oruel, server, "x", "--temperature", "1.2", "--stop", "END", "--top", "9", "--system", "S", "--model", "m")
    oruel.call("explain", "--base-url", server.base_url, stdin=b"piped\n")
    first, second = server.requests
    assert (first["temperature"], first["stop"], first["trace"], first["model"]) == (1.2, ["END"], {"top": 9}, "m")
    assert [message["content"] for message in first["messages"]] == ["S", "x"]
    assert (second["trace"], second["model"]) == ({"top": 5}, "tiny")
    assert second["messages"] == [{"role": "user", "content": "piped"}]


def test_every_parameter_that_shapes_an_answer_is_an_option(oruel: CommandLine) -> None:
    shown = oruel.call("explain", "--help", COLUMNS="200").stdout.decode()
    others = {"stream", "stream_options", "n", "logprobs", "top_logprobs", "trace"}
    for parameter in PARAMETERS:
        flag = f" --{parameter.name.replace('_', '-')} "
        assert (flag in shown.replace("/", " ")) == (parameter.name not in others), flag


def test_a_refusal_is_one_line_with_status_1(oruel: CommandLine, server: ChatServer) -> None:
    server.replies.append(json_reply({"error": {"message": "trace is not supported.", "param": "trace"}}, 400))
    done = explain(oruel, server, "x")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().endswith("answered 400: trace is not supported.\n")


def test_a_server_that_ignores_the_request_for_a_trace_is_named(oruel: CommandLine, server: ChatServer) -> None:
    server.reply_with(*text_stream("a"))
    done = explain(oruel, server, "x")
    assert done.returncode == 1
    assert f"{server.base_url} sent no trace" in done.stderr.decode()


@pytest.mark.parametrize("broken", [{"id": 1}, {**traced(), "steps": 7}, 5])
def test_an_invalid_trace_is_reported(oruel: CommandLine, server: ChatServer, broken: object) -> None:
    server.reply_with(event({"choices": [{"index": 0, "delta": {}, "trace": [broken]}]}), DONE)
    done = explain(oruel, server, "x")
    assert done.returncode == 1
    assert b"sent an invalid response" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("after", [[], [0.5], [0.5] * 20])
def test_a_trace_whose_lengths_disagree_is_shown_as_far_as_it_goes(
    oruel: CommandLine, server: ChatServer, after: list[float]
) -> None:
    hostile = candidate(" sea", after, bytes=[-1, 999], removed_by="unknown")
    assert "' sea'" in shown(oruel, server, traced(candidates=[hostile], draw={"u": 9e9, "low": -5, "high": 3}))


@pytest.mark.model
def test_the_demo_model_is_explained(oruel: CommandLine) -> None:
    with oruel_serve() as server:
        arguments = ["explain", "--base-url", server.base_url, "Tell me a joke.", "--seed", "3", "--max-tokens", "4"]
        tables = oruel.call(*arguments, "--top-p", "0.9").stdout.decode()
        entries = json.loads(oruel.call(*arguments, "--top-p", "0.9", "--json").stdout)
    assert [entry["steps"] for entry in entries] == [["temperature", "top_p"]] * 4
    assert tables.endswith("".join(entry["token"] for entry in entries) + "\n")
    for number, entry in enumerate(entries, start=1):
        assert f"{number}  {entry['token']!r}  drawn at random" in tables
