"""`oruel catalog` shows what a file says, or the line that is wrong."""

from pathlib import Path

from tests.cli.command_line import CommandLine
from tests.router.test_catalog_file import GOOD


def test_the_catalog_is_shown_as_tables(oruel: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(GOOD)
    shown = oruel.call("catalog", str(file), COLUMNS="200")
    assert shown.returncode == 0
    text = shown.stdout.decode()
    for words in ("maverick", "0.025", "3.0000001", "own", "vllm at", "repetition_penalty", "small-own"):
        assert words in text


def test_a_mistake_is_one_line_that_names_its_line(oruel: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(GOOD.replace('kind = "vllm"', 'kind = "vlm"'))
    for command in (["catalog", str(file)], ["serve", "--catalog", str(file), "--port", "0"]):
        refused = oruel.call(*command)
        assert refused.returncode == 2
        assert refused.stderr.startswith(b"oruel: Line 25 of the catalog: ")
        assert refused.stderr.count(b"\n") == 1
    missing = oruel.call("catalog", str(tmp_path / "none.toml"))
    assert (missing.returncode, missing.stderr.count(b"\n")) == (2, 1)
