import importlib.metadata
import importlib.util
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from oruel.errors import LibraryError
from oruel.llama import bindings
from oruel.llama import library as library_module
from oruel.llama.library import Library, load_library, missing_cpu_features
from oruel.llama.log import LibraryLog
from tests import gguf_models

pytestmark = pytest.mark.model

load_anew = load_library.__wrapped__

LOAD_AND_DECODE = """
import sys
from pathlib import Path
from oruel.errors import ModelLoadError
from oruel.llama.context import Context
from oruel.llama.model import Model
model = Model(sys.argv[1])
context = Context(model, window=256, sequences=1, batch=8, threads=1)
context.decode([1], [0], [0], [True])
assert "xllamacpp" not in sys.modules
truncated = Path(sys.argv[1] + ".part")
truncated.write_bytes(Path(sys.argv[1]).read_bytes()[:5000])
try:
    Model(truncated)
except ModelLoadError:
    print("refused")
"""

# Makes glibc overwrite freed and newly allocated memory, so that stale data is never read by chance.
POISONED = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0", "MALLOC_PERTURB_": "85"}

VISIBLE_RUNTIME = """
import ctypes, importlib
importlib.import_module("numpy")
assert not hasattr(ctypes.CDLL(None), "_ZNSt6locale7classicEv"), "NumPy shares its runtime by itself"
from oruel.llama.library import load_library
load_library()
assert hasattr(ctypes.CDLL(None), "_ZNSt6locale7classicEv")
"""

ABORT = """
import sys
from oruel.llama import model
model.check_gguf = lambda path: None
model.Model(sys.argv[1], vocabulary_only=True)
"""


def test_the_installed_wheel_passes_every_check(library: Library) -> None:
    assert library.path.name.startswith("xllamacpp")
    assert load_library() is library


def test_a_path_overrides_the_wheel(library: Library, tmp_path: Path) -> None:
    copy = tmp_path / "libllama.so"
    shutil.copy(library.path, copy)  # dlopen would treat a link as the same library
    assert load_anew(str(copy)).path == copy


def test_the_error_for_a_missing_library_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match=r"No libllama was found at .*absent\.so.*pip install xllamacpp==.*LIBLLAMA"):
        load_anew(str(tmp_path / "absent.so"))


def test_a_file_that_is_not_a_library_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "libllama.so"
    text.write_text("not a library")
    with pytest.raises(LibraryError, match="can't be opened as a shared library"):
        load_anew(str(text))


def test_a_different_library_is_refused() -> None:
    other = importlib.util.find_spec("_cffi_backend")
    assert other is not None
    with pytest.raises(LibraryError, match=r"lacks \d+ of the \d+ required functions, such as ggml_cpu_has_sse3"):
        load_anew(other.origin)


def test_a_library_without_a_required_function_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bindings, "DECLARATIONS", bindings.DECLARATIONS + "void llama_of_tomorrow(void);")
    with pytest.raises(LibraryError, match=r"lacks 1 of the \d+ required functions, such as llama_of_tomorrow"):
        load_anew()


def test_another_version_of_llama_cpp_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bindings, "LLAMA_VERSION", "0.7.0")
    with pytest.raises(LibraryError, match=r"is llama.cpp 0\.6\.0-dev with ggml 0\.26\.0; 0\.7\.0 with ggml"):
        load_anew()


def test_another_version_of_the_wheel_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = importlib.metadata.version("xllamacpp")
    monkeypatch.setattr(bindings, "XLLAMACPP_VERSION", "2026.11.1")
    with pytest.raises(LibraryError, match=f"xllamacpp {installed} is installed; 2026.11.1 is required"):
        load_anew()


@pytest.mark.parametrize("declared", ["", "size_t moe_cache_size; size_t another_size;"])
def test_a_context_layout_with_another_field_count_is_refused(monkeypatch: pytest.MonkeyPatch, declared: str) -> None:
    declarations = bindings.DECLARATIONS.replace("size_t moe_cache_size;", declared)
    defaults = {name: value for name, value in bindings.CONTEXT_DEFAULTS.items() if name != "moe_cache_size"}
    monkeypatch.setattr(bindings, "DECLARATIONS", declarations)
    monkeypatch.setattr(bindings, "CONTEXT_DEFAULTS", defaults)
    with pytest.raises(LibraryError, match="another layout of llama_context_params"):
        load_anew()


def test_a_different_model_layout_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    declarations = bindings.DECLARATIONS.replace("int32_t lazy_mode;", "")
    defaults = {name: value for name, value in bindings.MODEL_DEFAULTS.items() if name != "lazy_mode"}
    monkeypatch.setattr(bindings, "DECLARATIONS", declarations)
    monkeypatch.setattr(bindings, "MODEL_DEFAULTS", defaults)
    with pytest.raises(LibraryError, match="another layout of llama_model_params"):
        load_anew()


def test_every_declared_function_is_one_of_the_library_s(library: Library) -> None:
    names = re.findall(r"\b(\w+)\(", bindings.DECLARATIONS)
    assert all(name.startswith(("llama_", "ggml_")) for name in names)
    assert all(hasattr(library.lib, name) for name in names)


def test_instructions_that_the_cpu_lacks_are_named() -> None:
    assert missing_cpu_features({"avx", "avx2", "fma"}, "processor\t: 0\nflags\t\t: fpu avx sse2\n") == {"avx2", "fma"}
    assert missing_cpu_features({"avx"}, "processor\t: 0\nflags\t\t: fpu avx sse2\n") == set()


def test_cpu_info_without_flags_is_ignored() -> None:
    assert missing_cpu_features({"avx"}, "processor : 0\nFeatures : asimd\n") == set()


def test_a_build_for_a_newer_cpu_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, library: Library) -> None:
    cpu_info = tmp_path / "cpuinfo"
    cpu_info.write_text("flags : fpu sse2\n")
    monkeypatch.setattr(library_module, "CPU_INFO", cpu_info)
    expected: AbstractContextManager[object] = nullcontext()
    if library.lib.ggml_cpu_has_avx2():  # an x86 build
        expected = pytest.raises(LibraryError, match=r"This CPU lacks .*avx2.*newer CPU")
    with expected:
        load_anew()


def test_llama_cpp_writes_nothing_to_stdout_or_stderr(llama_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", LOAD_AND_DECODE, str(llama_path)], capture_output=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, b"refused\n", b"")


@pytest.mark.skipif(sys.platform != "linux", reason="these variables are glibc's")
def test_no_view_outlives_its_c_struct(llama_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", LOAD_AND_DECODE, str(llama_path)],
        env=os.environ | POISONED,
        capture_output=True,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, b"refused\n", b"")


@pytest.mark.skipif(sys.platform != "linux", reason="libstdc++ is Linux's")
def test_numpy_and_libllama_share_one_cpp_runtime() -> None:
    run = subprocess.run([sys.executable, "-c", VISIBLE_RUNTIME], capture_output=True, check=False)
    assert (run.returncode, run.stderr) == (0, b"")


def test_an_abort_prints_one_line_and_starts_no_debugger(tmp_path: Path) -> None:
    tokenizer = gguf_models.byte_level()
    tokenizer.texts[300] = tokenizer.texts[301]
    path = gguf_models.write_model(tmp_path / "twice.gguf", gguf_models.Shape("llama"), tokenizer, half=True, seed=0)
    run = subprocess.run([sys.executable, "-c", ABORT, str(path)], capture_output=True, text=True, check=False)
    assert run.returncode == -signal.SIGABRT
    assert len(run.stderr.splitlines()) == 1
    assert "GGML_ASSERT" in run.stderr


def test_fragments_of_a_log_line_become_one_record(library: Library, caplog: pytest.LogCaptureFixture) -> None:
    log = library.log
    with caplog.at_level(logging.DEBUG, logger="oruel.llama"):
        log.write(bindings.LOG_WARN, "loading ")
        log.write(bindings.LOG_CONTINUED, "...")
        log.write(bindings.LOG_CONTINUED, " done\n")
        log.write(bindings.LOG_INFO, "unfinished")
        log.write(bindings.LOG_ERROR, "bad\n")
    records = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert records == [("WARNING", "loading ... done"), ("DEBUG", "unfinished"), ("ERROR", "bad")]
    assert isinstance(log, LibraryLog)
    assert log.errors[-1] == "bad"
