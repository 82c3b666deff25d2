"""Handles stdin, stdout and stderr that are closed, full or read by a process that has ended."""

import os
import sys
from contextlib import suppress
from typing import TextIO


def open_standard_streams() -> None:
    """Opens closed standard streams as the null device. Otherwise the next file or socket would get the same
    descriptor, and anything that a library prints would go there.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, mode)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - stays open as long as the process
    sys.stdout = sys.stdout or _writer(1)
    sys.stderr = sys.stderr or _writer(2)


def flush_output() -> None:
    """Raises OSError if the output can't be written. The interpreter then doesn't try again when it exits."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError):
            sys.stdout.close()
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        raise


def _writer(number: int) -> TextIO:
    return open(number, "w", encoding="utf-8", closefd=False)
