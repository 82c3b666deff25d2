"""Runs the command line as a user does, without inherited settings: in this process, which is fast, or in its own."""

import io
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import oruel
from oruel.cli import main

# A shell may start tests with SIGINT ignored, and children inherit that.
PROGRAM = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from oruel.cli import main; main()"
COMMAND = (sys.executable, "-c", PROGRAM)


@dataclass(frozen=True)
class Completed:
    returncode: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True)
class CommandLine:
    directory: Path

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        source = str(Path(oruel.__file__).parents[1])
        home = {"HOME": str(self.directory), "HF_HOME": str(self.directory / "hub")}
        return kept | home | {"PYTHONPATH": source, "PYTHONWARNINGS": "error", "TERM": "dumb"} | dict(more)

    def call(self, *arguments: str, stdin: bytes = b"", **more: str) -> Completed:
        """Runs in this process. `more` are environment variables."""
        output, errors = io.BytesIO(), io.BytesIO()
        binary = {"stdin": io.BytesIO(stdin), "stdout": output, "stderr": errors}
        streams = {name: io.TextIOWrapper(own, encoding="utf-8", write_through=True) for name, own in binary.items()}
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.directory)
            for name in list(os.environ):
                patch.delenv(name)
            for name, value in self.environment(more).items():
                patch.setenv(name, value)
            for name, stream in streams.items():
                patch.setattr(sys, name, stream)
            status = exit_status(arguments)
        return Completed(status, output.getvalue(), errors.getvalue())

    def run(self, *arguments: str, stdin: bytes = b"", **more: str) -> Completed:
        """Runs in its own process. `more` are environment variables."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            input=stdin,
            capture_output=True,
            cwd=self.directory,
            env=self.environment(more),
            timeout=60,
            check=False,
        )
        return Completed(done.returncode, done.stdout, done.stderr)


def exit_status(arguments: Sequence[str]) -> int:
    with pytest.raises(SystemExit) as exited:
        main(arguments)
    assert isinstance(exited.value.code, int | None)
    return exited.value.code or 0
