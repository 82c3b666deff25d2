"""Functions that the tests run as jobs."""

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


def environment(tokenizers: Tokenizers, question: str) -> dict[str, str]:
    return dict(os.environ)


def compute_for_ever(tokenizers: Tokenizers, question: str) -> None:
    """`question`: the path of a file to which it writes its process id first."""
    write_pid(question)
    while True:
        pass


def wait_for_ever(tokenizers: Tokenizers, question: str) -> None:
    write_pid(question)
    time.sleep(600)


def fill_memory(tokenizers: Tokenizers, question: str) -> None:
    write_pid(question)
    blocks = []
    while True:
        blocks.append(b"x" * 2**20)


def write_pid(path: str) -> None:
    partial = Path(f"{path}.partial")
    partial.write_text(str(os.getpid()))
    partial.rename(path)
