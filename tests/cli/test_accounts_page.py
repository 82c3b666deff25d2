"""docs/accounts.md: its commands work, and its table of options matches the declarations.
`python -m tests.cli.test_accounts_page` rewrites the table.
"""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from oruel.ledger.key_terms import TERMS
from tests.cli.command_line import COMMAND, CommandLine
from tests.server import oruel_serve

PAGE = Path(__file__).parents[2] / "docs" / "accounts.md"
TABLE = re.compile(r"(?<=test_accounts_page.py -->\n).*?(?=<!-- end of options -->)", re.DOTALL)
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LAST_KEY = """$(oruel keys list --json | sed -n 's/.*"id": "\\(key_[0-9a-f]*\\)".*/\\1/p' | tail -n 1)"""


def table() -> str:
    head = ["| option | meaning |", "|---|---|"]
    rows = [f"| `--{name.replace('_', '-')}` | {term.summary} |" for name, term in TERMS.items()]
    return "\n".join([*head, *rows, ""])


def test_the_table_of_options_matches_the_declarations() -> None:
    assert TABLE.findall(PAGE.read_text()) == [table()], "rewrite it with python -m tests.cli.test_accounts_page"


@pytest.mark.model
@pytest.mark.slow
def test_every_command_on_the_page_works_with_a_running_server(tmp_path: Path) -> None:
    oruel = CommandLine(tmp_path)
    program = tmp_path / "bin" / "oruel"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    program.chmod(0o755)
    environment = oruel.environment({"ORUEL_STORE": str(tmp_path / "ledger.db")})
    environment["PATH"] = f"{program.parent}:{environment['PATH']}"
    with oruel_serve(environment={"ORUEL_STORE": environment["ORUEL_STORE"]}) as server:
        done = subprocess.run(
            ["sh", "-eux", "-c", script_for(server.url)],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert '"total"' in done.stdout.splitlines()[-1]


def script_for(url: str) -> str:
    """All commands of the page in their order, against the server at `url`, which runs already."""
    script = "\n".join(block.replace("\\\n", "") for block in BLOCK.findall(PAGE.read_text()))
    for shown, run in (
        ("oruel serve\n", ""),
        ("key_9f2c41d07a35be68", LAST_KEY),
        ("http://127.0.0.1:8000", url),
        # The server needs a moment to notice a new key.
        ("curl ", "sleep 1; curl --silent --show-error --fail-with-body "),
    ):
        assert shown in script
        script = script.replace(shown, run)
    return script


if __name__ == "__main__":
    PAGE.write_text(TABLE.sub(lambda _: table(), PAGE.read_text()))
