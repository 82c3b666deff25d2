"""A log line is one line of JSON, whatever a caller puts into it."""

import io
import json
import logging

import pytest

from oruel.cli.logs import LineWriter, LogHandler, escape_values, render_json, write_escaped_traceback


@pytest.mark.parametrize("value", ["\ud800", "a\nb", "\x00é", 2**80, float("nan"), {"path": b"/x"}, ValueError("no")])
def test_every_event_is_one_line_of_json(value: object) -> None:
    line = render_json({"event": "request", "value": value})
    assert "\n" not in line
    assert json.loads(line)["event"] == "request"


def test_text_is_logged_unchanged() -> None:
    assert json.loads(render_json({"event": "größe \ud800"})) == {"event": "größe \ud800"}


ODD = "\x1b[2J\u202e\u2028\x9b\ufeff"


def test_control_characters_are_escaped_losslessly_in_json() -> None:
    line = render_json({"event": "request", "user": f"mallory{ODD}", "list": [ODD]})
    assert line.isprintable()
    assert json.loads(line) == {"event": "request", "user": f"mallory{ODD}", "list": [ODD]}


def test_control_characters_are_escaped_in_values() -> None:
    event = escape_values(
        None, "", {"event": "a\nb", "user": f"mallory{ODD}", "traceback": f"one\ntwo{ODD[0]}", "n": 1}
    )
    assert event == {
        "event": r"a\nb",
        "user": r"mallory\x1b[2J\u202e\u2028\x9b\ufeff",
        "traceback": "one\ntwo\\x1b",
        "n": 1,
    }


def test_control_characters_are_escaped_in_names() -> None:
    assert escape_values(None, "", {ODD: 1}) == {r"\x1b[2J\u202e\u2028\x9b\ufeff": 1}


def test_control_characters_are_escaped_in_tracebacks() -> None:
    output = io.StringIO()
    error = ValueError(f"mallory{ODD}")
    write_escaped_traceback(output, (ValueError, error, None))
    assert output.getvalue().splitlines()[-1] == r"ValueError: mallory\x1b[2J\u202e\u2028\x9b\ufeff"


def test_lines_that_cannot_be_written_are_counted() -> None:
    class Disk(io.StringIO):
        is_full = False

        def write(self, text: str) -> int:
            if self.is_full:
                raise OSError(28, "No space left on device")
            return super().write(text)

    disk = Disk()
    handler = LogHandler(LineWriter(disk))
    for number in range(5):
        disk.is_full = number in (1, 2, 3)
        handler.emit(logging.LogRecord("x", logging.INFO, "", 0, f"line {number}", None, None))
    assert disk.getvalue().splitlines() == ["line 0", "line 4", "oruel: 3 log lines could not be written"]
