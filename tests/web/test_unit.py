"""The page's modules pass their unit tests, which run on Node."""

import shutil
import subprocess
from pathlib import Path

import pytest

UNIT_TESTS = Path(__file__).parent / "unit"


@pytest.mark.skipif(shutil.which("node") is None, reason="Node isn't installed, which runs the page's unit tests")
def test_the_page_passes_its_unit_tests() -> None:
    # Node 20 takes files, Node 22 patterns; both take files by name.
    files = sorted(str(path) for path in UNIT_TESTS.glob("*.test.js"))
    run = subprocess.run(["node", "--test", *files], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
