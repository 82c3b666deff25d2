"""A log line is one line of JSON, whatever a caller has put into it."""

import json

import pytest

from oruel.cli.logs import as_json


@pytest.mark.parametrize("value", ["\ud800", "a\nb", "\x00é", 2**80, float("nan"), {"path": b"/x"}, ValueError("no")])
def test_every_event_is_one_line_of_json(value: object) -> None:
    line = as_json({"event": "request", "value": value})
    assert "\n" not in line
    assert json.loads(line)["event"] == "request"


def test_text_is_written_as_it_is() -> None:
    assert json.loads(as_json({"event": "größe \ud800"})) == {"event": "größe \ud800"}
