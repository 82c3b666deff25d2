"""`oruel catalog` shows a catalog as tables, or names the line of its first error."""

import re
from pathlib import Path

import pytest

from tests.cli.command_line import CommandLine
from tests.router.test_catalog_file import GOOD


@pytest.mark.parametrize("columns", ["80", "120"])
def test_the_catalog_is_shown_as_tables(columns: str, oruel: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(GOOD)
    shown = oruel.call("catalog", str(file), COLUMNS=columns)
    assert shown.returncode == 0
    lines = shown.stdout.decode().splitlines()
    assert max(map(len, lines)) <= int(columns)
    rows = [" ".join(line.split()) for line in lines]
    for row in (
        "maverick mav 8192 512",
        "maverick standard 0.10 0.025 0.40",
        "maverick turbo 1 1 3.000001",
        "small standard free free free",
        "big maverick turbo 0.3 0.3 0.5",
        "own engine demo",
        "big kind vllm",
        "base_url http://10.0.0.5:8000/v1",
        "model meta/maverick",
        "key BIG_KEY, which is not set",
        "accepts repetition_penalty, seed",
    ):
        assert row in rows
    assert "7.5 s for the next" in " ".join(rows)


def test_long_names_are_not_truncated(oruel: CommandLine, tmp_path: Path) -> None:
    name = "n" * 128
    (tmp_path / "catalog.toml").write_text(GOOD.replace('name = "big"', f'name = "{name}"'))
    shown = oruel.call("catalog", COLUMNS="80").stdout.decode()
    assert "…" not in shown
    assert len(re.findall("n", shown)) > 2 * len(name)


@pytest.mark.parametrize(
    ("key", "state"), [("sk-secret", "is set"), ("sk-secret\n", "ends with a line break"), ("", "is not set")]
)
def test_only_the_state_of_a_key_is_shown(key: str, state: str, oruel: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "catalog.toml").write_text(GOOD)
    shown = oruel.call("catalog", COLUMNS="120", BIG_KEY=key)
    assert shown.returncode == 0
    assert f"BIG_KEY, which {state}".encode() in shown.stdout
    assert b"secret" not in shown.stdout + shown.stderr


@pytest.mark.parametrize("key", ["", "sk-secret\n", "sk secret"])
def test_serve_refuses_to_start_without_a_valid_key(key: str, oruel: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "catalog.toml").write_text(GOOD)
    refused = oruel.call("serve", "--catalog", "catalog.toml", "--port", "0", BIG_KEY=key)
    assert refused.returncode == 2
    assert refused.stderr.startswith(b"oruel: Line 27 of the catalog: big takes its key from BIG_KEY, which ")
    assert refused.stderr.count(b"\n") == 1
    assert b"secret" not in refused.stdout + refused.stderr


@pytest.mark.parametrize("more", [("--model", "demo"), ("--alias", "x")])
def test_serve_refuses_flags_that_conflict_with_a_catalog(more: tuple[str, str], oruel: CommandLine) -> None:
    refused = oruel.call("serve", "--catalog", "catalog.toml", *more)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"oruel: {more[0]} and --catalog are both set".encode())


def test_an_error_is_one_line_that_names_its_place(oruel: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(GOOD.replace('kind = "vllm"', 'kind = "vlm"'))
    for command in (["catalog", str(file)], ["serve", "--catalog", str(file), "--port", "0"]):
        refused = oruel.call(*command)
        assert refused.returncode == 2
        assert refused.stderr.startswith(b"oruel: Line 25 of the catalog: ")
        assert refused.stderr.count(b"\n") == 1
    for missing in ("none.toml", "."):
        refused = oruel.call("catalog", str(tmp_path / missing))
        assert (refused.returncode, refused.stderr.count(b"\n")) == (2, 1)
