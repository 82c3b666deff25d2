"""The plugin's wheel is complete: it needs nothing but what vLLM's environment has, llguidance and jsonschema-rs."""

import ast
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Distributions that vLLM 0.32 requires, and vLLM itself. The README says why it needs another llguidance than vLLM.
PROVIDED = {"huggingface_hub", "llguidance", "msgspec", "numpy", "referencing", "tokenizers", "torch", "vllm"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel contains."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT / "vllm_plugin")]  # fmt: skip
    subprocess.run(command, check=True, env={**os.environ, "PIP_NO_INDEX": "1"})
    (built,) = folder.glob("oruel_vllm-*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "content")
    return folder / "content"


def imported_modules(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            assert node.module
            yield node.module


def test_the_wheel_imports_only_itself_what_it_declares_and_what_vllm_brings(wheel: Path) -> None:
    missing = set()
    for file in wheel.rglob("*.py"):
        for module in imported_modules(file):
            first = module.partition(".")[0]
            if first in ("oruel", "oruel_vllm"):
                path = wheel / module.replace(".", "/")
                is_there = path.with_suffix(".py").exists() or (path / "__init__.py").exists()
            else:
                is_there = first in PROVIDED | {"jsonschema_rs"} or first in sys.stdlib_module_names
            if not is_there:
                missing.add((str(file.relative_to(wheel)), module))
    assert not missing


def test_all_that_needs_neither_torch_nor_vllm_can_be_imported_from_the_wheel_alone(wheel: Path) -> None:
    modules = [
        ".".join(file.relative_to(wheel).with_suffix("").parts)
        for file in (wheel / "oruel_vllm").glob("*.py")
        if file.stem != "__init__" and not {"torch", "vllm"} & set(imported_modules(file))
    ]
    own = [name for name in modules if not needs_torch(wheel, name)]
    assert {"oruel_vllm.plugin", "oruel_vllm.constrained_row", "oruel_vllm.params_check"} <= set(own)
    program = (
        f"import importlib, sys; sys.path.insert(0, {str(wheel)!r})\n"
        f"for name in {own!r}: importlib.import_module(name)\n"
        "print(*(one.__file__ for name, one in sys.modules.items() if name.partition('.')[0] in ('oruel', 'oruel_vllm')"
        " and one.__file__), sep='\\n')"
    )
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd="/")
    assert all(line.startswith(str(wheel)) for line in run.stdout.split("\n") if line), run.stdout


def needs_torch(wheel: Path, module: str) -> bool:
    """Also by what it imports."""
    file = wheel / f"{module.replace('.', '/')}.py"
    if not module.startswith("oruel_vllm.") or not file.exists():
        return module.partition(".")[0] in ("torch", "vllm")
    return any(needs_torch(wheel, one) for one in imported_modules(file))


def test_the_wheel_has_the_entry_point_that_vllm_loads_and_declares_one_dependency(wheel: Path) -> None:
    (metadata,) = wheel.glob("oruel_vllm-*.dist-info")
    assert "oruel = oruel_vllm.processor:OruelProcessor" in (metadata / "entry_points.txt").read_text()
    assert "[vllm.logits_processors]" in (metadata / "entry_points.txt").read_text()
    declared = re.findall("^Requires-Dist: ([a-z-]+)", (metadata / "METADATA").read_text(), re.MULTILINE)
    assert declared == ["jsonschema-rs"]
