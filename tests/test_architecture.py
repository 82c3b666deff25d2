"""The architecture: imports run in one direction, one module each uses C and the environment, and files stay small."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "oruel"

# A folder may import from itself and from the folders after it. The order is the path of a request.
ORDER = [
    "cli",
    "verify",
    "app",
    "bookkeeping",
    "fleet",
    "api",
    "ledger",
    "router",
    "backends",
    "jobs",
    "text",
    "engine",
    "http",
    "constraints",
    "json_schema",
    "sampling",
    "llama",
    "hugging_face",
    "vocabulary",
]
FREE = {"__version__", "types", "errors", "contract", "announcement", "addresses"}
MAX_LINES = 400
MAX_FUNCTION_LINES = 50

SOURCES = sorted(PACKAGE.rglob("*.py"))


def folder_of(path: Path) -> str:
    """The folder of a module, or the name of a top-level module."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_folders(path: Path) -> set[str]:
    return {
        name.split(".")[1] for name in imported_names(path) if name.startswith("oruel.") and len(name.split(".")) > 1
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_path_of_a_request(path: Path) -> None:
    here = folder_of(path)
    for there in imported_folders(path) - FREE - {here}:
        if there == "config":
            assert here in {"app", "fleet", "cli", "__main__"}, (
                f"{here} imports the settings; only app, fleet and cli may"
            )
        elif there == "settings":
            assert here in {"app", "bookkeeping", "config", "fleet", "cli"}, f"{here} imports the settings"
        elif there == "models":
            assert here in {"cli", "app"}, f"{here} imports the bundled model; only cli and app may"
        elif here != "__main__":
            assert here in ORDER, f"{here} imports {there}, but may import only {sorted(FREE)}"
            assert ORDER.index(here) < ORDER.index(there), f"{here} imports {there}, against the order"


def test_only_llama_uses_c() -> None:
    offenders = [
        path
        for path in SOURCES
        if folder_of(path) != "llama" and {"cffi", "ctypes"} & {n.split(".")[0] for n in imported_names(path)}
    ]
    assert offenders == []


def test_sampling_loads_no_c_library() -> None:
    modules = [f"oruel.sampling.{path.stem}" for path in (PACKAGE / "sampling").glob("[a-z]*.py")]
    script = f"import {', '.join(modules)}, sys; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert {"numpy", "oruel.sampling.sampler"} <= set(result.stdout.split())
    assert not {"cffi", "_cffi_backend", "llguidance", "ctypes.util", "xllamacpp"} & set(result.stdout.split())


def test_a_tokenizer_in_hugging_face_form_and_its_constraints_load_no_libllama() -> None:
    script = "import oruel.hugging_face.folder, oruel.constraints.tokens, sys; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "tokenizers" in result.stdout.split()
    assert not {"cffi", "_cffi_backend", "xllamacpp", "oruel.llama"} & set(result.stdout.split())


def test_only_config_reads_the_environment() -> None:
    def reads(node: ast.AST) -> bool:
        return isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "environb"}

    offenders = [
        path for path in SOURCES if path.name != "config.py" and any(map(reads, ast.walk(ast.parse(path.read_text()))))
    ]
    assert offenders == []


def test_files_and_functions_stay_small() -> None:
    for path in SOURCES:
        text = path.read_text()
        assert len(text.splitlines()) <= MAX_LINES, f"{path} has more than {MAX_LINES} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                assert lines <= MAX_FUNCTION_LINES, f"{path}: {node.name} has {lines} lines"


def test_every_module_has_a_docstring() -> None:
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        assert not tree.body or ast.get_docstring(tree), f"{path} has no docstring"


def test_the_readme_tree_matches_the_package() -> None:
    readme = (ROOT / "README.md").read_text()
    listed = set(re.findall(r"^  ([a-z_]+(?:\.py|/)) ", readme, flags=re.MULTILINE))
    on_disk = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in PACKAGE.iterdir()
        if not path.name.startswith("__") and (path.is_dir() or path.suffix == ".py")
    }
    assert listed == on_disk
