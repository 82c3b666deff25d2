"""Log output: one structured line per event on stderr, coloured for a terminal or as JSON for a machine."""

import io
import json
import logging
import sys
import threading
from contextlib import suppress
from typing import TextIO

import msgspec
import structlog
from structlog.typing import EventDict, ExcInfo, Processor

encode = msgspec.json.Encoder(enc_hook=repr).encode


def render_json(event: object, **_: object) -> str:
    """Renders one line of JSON. Escapes characters that could act on a terminal."""
    try:
        text = encode(event).decode()
    except (ValueError, OverflowError):  # a lone surrogate, or an integer of more than 64 bits
        return json.dumps(event, default=repr)
    return text if text.isprintable() else "".join(map(escape_in_json, text))


def escape_in_json(character: str) -> str:
    return character if character.isprintable() else json.dumps(character)[1:-1]


def escape_values(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Escapes control and bidirectional characters: names and values may come from clients and upstream servers.
    Tracebacks keep their line breaks.
    """
    return {escape_text(key): escape_value(key, value) for key, value in event.items()}


def escape_value(key: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    return escape_text(value.rstrip(), kept="\n" if key in ("traceback", "exception", "stack") else "")


def escape_text(text: str, kept: str = "") -> str:
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each == kept else escape_character(each) for each in text)


def escape_character(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()


def write_escaped_traceback(output: TextIO, exc_info: ExcInfo) -> None:
    """Escapes the traceback, since the message of an exception may quote a client."""
    plain = io.StringIO()
    structlog.dev.plain_traceback(plain, exc_info)
    output.write(escape_text(plain.getvalue(), kept="\n"))


class LineWriter:
    """Threads may share it. Continues if a line can't be written, as on a full disk, and later reports how many lines
    were lost.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._lost = 0

    def write(self, line: str) -> None:
        with self._lock:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                self._lost += 1
                return
            if self._lost:
                self._report_lost()

    def _report_lost(self) -> None:
        lost, self._lost = self._lost, 0
        with suppress(OSError, ValueError):
            self._stream.write(f"oruel: {lost} log lines could not be written\n")


class LineLogger:
    """Where structlog's rendered lines end: they need no records of the standard logging module."""

    def __init__(self, name: str, lines: LineWriter) -> None:
        self.name = name
        self._lines = lines

    def msg(self, line: str) -> None:
        self._lines.write(line)

    debug = info = warning = error = critical = exception = msg


class LogHandler(logging.Handler):
    """Writes the records of libraries."""

    def __init__(self, lines: LineWriter) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - as the standard handlers
            self.handleError(record)
        else:
            self._lines.write(line)


def configure(log_format: str) -> None:
    """Sets up all logging. `log_format` is console, json or auto: console in a terminal, json elsewhere."""
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Plain tracebacks: the rich renderings show local variables, and so prompts.
    rendered: list[Processor] = (
        [escape_values, structlog.dev.ConsoleRenderer(exception_formatter=write_escaped_traceback)]
        if console
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(render_json)]
    )
    lines = LineWriter(sys.stderr)
    structlog.configure(
        processors=[*shared, *rendered],
        logger_factory=lambda name="oruel": LineLogger(name, lines),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    # Libraries use the standard logging module.
    handler = LogHandler(lines)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("oruel").setLevel(logging.INFO)
