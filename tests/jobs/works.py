"""Work for jobs of tests."""

import os
import time
from pathlib import Path

from oruel.errors import UnsupportedParameter
from oruel.jobs.base import Tokenizers


def double(tokenizers: Tokenizers, question: list[int]) -> list[int]:
    return [2 * number for number in question]


def refuse(tokenizers: Tokenizers, question: str) -> None:
    raise UnsupportedParameter("no such thing", param=question)


def fail(tokenizers: Tokenizers, question: str) -> None:
    raise ZeroDivisionError(question)


def abort(tokenizers: Tokenizers, question: str) -> None:
    os.abort()


def compute_for_ever(tokenizers: Tokenizers, question: str) -> None:
    """Writes the number of its process to a file first."""
    write_number(question)
    while True:
        pass


def wait_for_ever(tokenizers: Tokenizers, question: str) -> None:
    write_number(question)
    time.sleep(600)


def fill_memory(tokenizers: Tokenizers, question: str) -> None:
    write_number(question)
    blocks = []
    while True:
        blocks.append(b"x" * 2**20)


def write_number(path: str) -> None:
    half = Path(f"{path}.half")
    half.write_text(str(os.getpid()))
    half.rename(path)
