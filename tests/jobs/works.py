"""Work for jobs of tests."""

import time
from pathlib import Path

from oruel.jobs.base import Tokenizers


def double(tokenizers: Tokenizers, question: list[int]) -> list[int]:
    return [2 * number for number in question]


def compute_for_ever(tokenizers: Tokenizers, question: str) -> None:
    """Writes its process' number to a file first."""
    write_number(question)
    while True:
        pass


def wait_for_ever(tokenizers: Tokenizers, question: str) -> None:
    write_number(question)
    time.sleep(600)


def write_number(path: str) -> None:
    Path(path).write_text(str(Path("/proc/self").resolve().name))
