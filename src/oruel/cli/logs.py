"""Log output: one structured line per event on stderr, coloured for a terminal or as JSON for a machine."""

import io
import json
import logging
import sys
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


class LogHandler(logging.StreamHandler[TextIO]):
    """Continues if a line can't be written, as on a full disk, and later reports how many lines were lost."""

    def __init__(self) -> None:
        super().__init__()
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        lost, self._lost = self._lost, 0
        super().emit(record)
        if lost and not self._lost:
            with suppress(OSError, ValueError):
                self.stream.write(f"oruel: {lost} log lines could not be written\n")
        self._lost += lost if self._lost else 0

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (logging's naming)
        if isinstance(sys.exc_info()[1], (OSError, ValueError)):
            self._lost += 1
        else:
            super().handleError(record)


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
    # One handler for our own lines and for those of libraries, which use the standard logging module.
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = LogHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("oruel").setLevel(logging.INFO)
