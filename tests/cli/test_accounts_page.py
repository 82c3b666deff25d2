"""docs/accounts.md: its commands work, and its table of options matches the declarations.
`python -m tests.cli.test_accounts_page` rewrites the table.
"""

import json
import re
import shlex
import subprocess
from pathlib import Path

from oruel.ledger.key_terms import TERMS
from tests.cli.command_line import COMMAND, CommandLine

PAGE = Path(__file__).parents[2] / "docs" / "accounts.md"
TABLE = re.compile(r"(?<=test_accounts_page.py -->\n).*?(?=<!-- end of options -->)", re.DOTALL)
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXAMPLE_ID = "key_9f2c41d07a35be68"
SERVE = "oruel serve"


def table() -> str:
    head = ["| option | meaning |", "|---|---|"]
    rows = [f"| `--{name.replace('_', '-')}` | {term.summary} |" for name, term in TERMS.items()]
    return "\n".join([*head, *rows, ""])


def test_the_table_of_options_matches_the_declarations() -> None:
    assert TABLE.findall(PAGE.read_text()) == [table()], "rewrite it with python -m tests.cli.test_accounts_page"


def test_every_command_on_the_page_works(oruel: CommandLine, tmp_path: Path) -> None:
    program = tmp_path / "oruel"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    program.chmod(0o755)
    environment = oruel.environment({"XDG_DATA_HOME": str(tmp_path), "KEY": "none"})
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    blocks = [block.replace("\\\n", "") for block in BLOCK.findall(PAGE.read_text())]
    commands = "\n".join(line for block in blocks for line in block.splitlines() if not line.startswith("curl"))
    assert commands.count(SERVE) == 1
    for part in commands.replace(SERVE, "").partition(f"oruel keys revoke {EXAMPLE_ID}"):
        script = part.replace(EXAMPLE_ID, an_id(oruel)) if EXAMPLE_ID in part else part
        done = subprocess.run(
            ["sh", "-e", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


def an_id(oruel: CommandLine) -> str:
    listed = oruel.call("keys", "list", "--json", XDG_DATA_HOME=str(oruel.directory))
    found: str = json.loads(listed.stdout)["data"][0]["id"]
    return found


if __name__ == "__main__":
    PAGE.write_text(TABLE.sub(lambda _: table(), PAGE.read_text()))
