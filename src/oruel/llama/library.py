"""Opens libllama and checks that its functions and struct layouts match the declarations in `bindings`."""

import ctypes
import functools
import importlib.metadata
import importlib.util
import os
import platform
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cffi

from oruel.errors import LibraryError
from oruel.llama import bindings
from oruel.llama.log import LibraryLog

CPU_INFO = Path("/proc/cpuinfo")
INSTALL = f"Install the pinned wheel (pip install xllamacpp=={bindings.XLLAMACPP_VERSION}) and leave LIBLLAMA unset"
REBUILD = "point LIBLLAMA at a shared build of llama.cpp b11549"


@dataclass(frozen=True, slots=True)
class Library:
    """An open libllama that passed every check. `lib` has the C functions; `ffi` creates and reads C values."""

    path: Path
    ffi: Any
    lib: Any
    log: LibraryLog

    def model_params(self) -> Any:
        """The default parameters, as a `llama_model_params *` that owns its memory."""
        defaults = self.lib.llama_model_default_params()
        return self.ffi.new("struct llama_model_params *", defaults.params)

    def context_params(self) -> Any:
        """The default parameters, as a `llama_context_params *` that owns its memory."""
        defaults = self.lib.llama_context_default_params()
        return self.ffi.new("struct llama_context_params *", defaults.params)


@functools.cache
def load_library(path: str | None = None) -> Library:
    """Opens the libllama of the installed xllamacpp wheel, or the one at `path`, once per process and path.

    Raises LibraryError if the file is missing or can't be opened, lacks a function, needs instructions that this CPU
    doesn't have, or has another version or layout. The checks run in this order, so that each one only calls functions
    that are known to be safe.
    """
    file = installed_library() if path is None else Path(path)
    ffi = cffi.FFI()
    ffi.cdef(bindings.DECLARATIONS)
    lib = _open(ffi, file)
    _check_functions(lib, file)
    _check_cpu(lib, file)
    _check_version(ffi, lib, file)
    _check_layout(lib, file)
    log = LibraryLog(ffi, lib)
    lib.llama_backend_init()
    return Library(path=file, ffi=ffi, lib=lib, log=log)


def installed_library() -> Path:
    """Finds the shared library of the xllamacpp wheel without importing the package. Raises LibraryError."""
    spec = importlib.util.find_spec("xllamacpp")
    if spec is None or not spec.submodule_search_locations:
        raise LibraryError(f"The package xllamacpp, which contains libllama, is not installed. {INSTALL}.")
    version = importlib.metadata.version("xllamacpp")
    if version != bindings.XLLAMACPP_VERSION:
        raise LibraryError(f"xllamacpp {version} is installed; {bindings.XLLAMACPP_VERSION} is required. {INSTALL}.")
    folder = Path(spec.submodule_search_locations[0])
    file = next(folder.glob("xllamacpp*.so"), None)
    if file is None:
        raise LibraryError(f"{folder} contains no xllamacpp*.so, the wheel's shared library. {INSTALL}.")
    return file


def missing_cpu_features(required: set[str], cpu_info: str) -> set[str]:
    """The `required` features that the first processor in `cpu_info`, the text of /proc/cpuinfo, lacks.

    Returns an empty set if the text lists no flags.
    """
    flags = re.search(r"^flags\s*:(.*)$", cpu_info, re.MULTILINE)
    return required - set(flags[1].split()) if flags else set()


def _open(ffi: Any, file: Path) -> Any:
    if not file.is_file():
        raise LibraryError(f"No libllama was found at {file}. {INSTALL}, or {REBUILD}.")
    # Otherwise llama.cpp runs a debugger on this process before it aborts. Only C reads the variable, so os.environ
    # stays as it is.
    os.putenv("GGML_NO_BACKTRACE", "1")
    _share_cpp_runtime()
    try:
        return ffi.dlopen(str(file.resolve()))
    except OSError as error:
        raise LibraryError(f"{file} can't be opened as a shared library: {error}. {INSTALL}, or {REBUILD}.") from error


def _share_cpp_runtime() -> None:
    """Loads libstdc++ globally, so that all libraries share one copy.

    NumPy loads it privately. A libllama that contains a static copy, as some CUDA toolchains build it, would then use
    parts of both copies and crash when it writes a number to a stream.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            ctypes.CDLL("libstdc++.so.6", mode=ctypes.RTLD_GLOBAL)


def _check_functions(lib: Any, file: Path) -> None:
    needed = re.findall(r"\b((?:llama|ggml)_\w+)\(", bindings.DECLARATIONS)
    missing = [name for name in needed if not hasattr(lib, name)]
    if missing:
        raise LibraryError(
            f"{file} lacks {len(missing)} of the {len(needed)} required functions, such as {missing[0]}. It is not "
            f"libllama, or it is another version. {INSTALL}, or {REBUILD}."
        )


def _check_cpu(lib: Any, file: Path) -> None:
    if platform.machine() not in ("x86_64", "AMD64") or not CPU_INFO.is_file():
        return
    required = {flag for function, flag in bindings.CPU_FEATURES.items() if getattr(lib, function)()}
    missing = missing_cpu_features(required, CPU_INFO.read_text(errors="replace"))
    if missing:
        raise LibraryError(
            f"{file} was compiled for a CPU with {', '.join(sorted(required))}. This CPU lacks "
            f"{', '.join(sorted(missing))}. Use a newer CPU, or {REBUILD} compiled for this machine."
        )


def _check_version(ffi: Any, lib: Any, file: Path) -> None:
    found = tuple(ffi.string(function()).decode() for function in (lib.llama_version, lib.ggml_version))
    needed = (bindings.LLAMA_VERSION, bindings.GGML_VERSION)
    if found != needed:
        raise LibraryError(
            f"{file} is llama.cpp {found[0]} with ggml {found[1]}; {needed[0]} with ggml {needed[1]} is required. "
            f"{INSTALL}, or {REBUILD}."
        )


def _check_layout(lib: Any, file: Path) -> None:
    model, context = lib.llama_model_default_params(), lib.llama_context_default_params()
    _check_defaults("llama_model_params", model.params, bindings.MODEL_DEFAULTS, file)
    _check_defaults("llama_context_params", context.params, bindings.CONTEXT_DEFAULTS, file)


def _check_defaults(struct: str, values: Any, defaults: Mapping[str, object], file: Path) -> None:
    """`values` is a view into a C struct; the caller must keep the struct alive."""
    wrong = {name: getattr(values, name) for name in defaults if getattr(values, name) != defaults[name]}
    if wrong:
        name, value = next(iter(wrong.items()))
        raise LibraryError(
            f"{file} has another layout of {struct}: {len(wrong)} of its defaults differ, such as {name}, which is "
            f"{value} instead of {defaults[name]}. {INSTALL}, or {REBUILD}."
        )
