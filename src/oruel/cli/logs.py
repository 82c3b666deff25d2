"""How log lines look: a structured line each, on stderr, in colours for a terminal or as JSON for a machine."""

import json
import logging
import sys

import msgspec
import structlog
from structlog.typing import Processor

encode = msgspec.json.Encoder(enc_hook=repr).encode


def as_json(event: object, **_: object) -> str:
    try:
        return encode(event).decode()
    except (ValueError, OverflowError):  # half a surrogate pair, a number of more than 64 bits
        return json.dumps(event, default=repr)


def configure(log_format: str) -> None:
    """`log_format`: console, json, or auto, which is console in a terminal."""
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Tracebacks as text: the richer renderings show local variables, and with them prompts.
    rendered: list[Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if console
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(as_json)]
    )
    # One handler for our own lines and for those of the libraries, which use the standard library's logging.
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("oruel").setLevel(logging.INFO)
