"""Reads the settings. Only this module reads flags, the environment and TOML.

Flags override environment variables, variables override the TOML file, and the file overrides the defaults.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from oruel.contract.kinds import Array, Boolean, Integer, Kind, Number
from oruel.errors import ConfigError, InvalidParameter
from oruel.settings import SETTINGS, VARIABLE_PREFIX, HiddenText, Setting, Settings, variable_name

CONFIG_FILE = "oruel.toml"
CONFIG_VARIABLE = "ORUEL_CONFIG"


def read_secret(variable: str) -> str | None:
    """The value of an environment variable, None if it is unset or empty. For keys, whose variables a catalog names."""
    return os.environ.get(variable) or None


# The variables that Python, the dynamic loader, llama.cpp, NumPy and GPU drivers read.
ENGINE_VARIABLES = re.compile(
    "PATH|HOME|LANG|LC_.+|TZ|TMPDIR|TEMP|TMP|SYSTEMROOT|PYTHON.+|VIRTUAL_ENV|DYLD_.+|GLIBC_TUNABLES|MALLOC_.+"
    "|LD_(LIBRARY_PATH|PRELOAD|BIND_NOW|DEBUG.*)|(OMP|GOMP|KMP|MKL|OPENBLAS|BLIS|GGML|LLAMA|CUDA|NVIDIA|NCCL|HIP|HSA|ROCR"
    "|ROCM|ROCBLAS|HIPBLASLT|AMD|SYCL|ONEAPI|ZE|ZES|VK|VULKAN|MTL|METAL|ASCEND|MUSA)_.+"
)
SECRET_NAME = re.compile("KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH")


def engine_environment() -> dict[str, str]:
    return environment_for_engine(os.environ)


def environment_for_engine(environ: Mapping[str, str]) -> dict[str, str]:
    """Selects the variables that an engine process needs; keys are not among them."""
    kept = {name: value for name, value in environ.items() if ENGINE_VARIABLES.fullmatch(name)}
    return {name: value for name, value in kept.items() if not SECRET_NAME.search(name)}


def load_process_settings(flags: Mapping[str, object]) -> Settings:
    """`load_settings` with the environment and the working directory of this process."""
    return load_settings(flags, os.environ, Path())


def load_settings(flags: Mapping[str, object], environ: Mapping[str, str], directory: Path) -> Settings:
    """Reads the settings from the arguments and the TOML file that they name.

    `flags` maps the name of each setting, and "config", to a string, a boolean or a list of strings, or to None if the
    flag wasn't given. The file is the one named by the flag config, else by the variable ORUEL_CONFIG, else oruel.toml
    in `directory` if it exists. Raises ConfigError, which names the flag, variable or key at fault.
    """
    named = flags.get("config") or environ.get(CONFIG_VARIABLE)
    path = directory / str(named or CONFIG_FILE)
    from_file = read_config_file(path) if named or path.exists() else {}
    given = {**from_file, **read_environment(environ), **read_flags(flags)}
    for name in ("model", "alias"):
        if "catalog" in given and name in given:
            raise ConfigError(
                f"{SETTINGS[name].flag} and --catalog are both set (by flags, variables or the configuration file), "
                f"but the catalog defines the models. Leave out {name}, or move it into the catalog."
            )
    if "store" not in given:
        given["store"] = HiddenText(str(default_store(environ)))
    return Settings(**given)


def default_store(environ: Mapping[str, str]) -> Path:
    """In the user's data directory: https://specifications.freedesktop.org/basedir-spec. Raises ConfigError."""
    data = Path(environ.get("XDG_DATA_HOME", ""))
    if not data.is_absolute():
        try:
            data = Path(environ.get("HOME", "") or Path.home()) / ".local" / "share"
        except RuntimeError:
            raise ConfigError(f"The user has no home directory. Set {variable_name('store')}.") from None
    return data / "oruel" / "ledger.db"


def read_flags(flags: Mapping[str, object]) -> dict[str, Any]:
    given = {SETTINGS[name]: value for name, value in flags.items() if name != "config" and value is not None}
    return {
        setting.name: parse_setting(setting, convert_text(setting.kind, value), setting.flag)
        for setting, value in given.items()
    }


def read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    by_variable = {setting.variable: setting for setting in SETTINGS.values()}
    for variable in environ:
        if variable.startswith(VARIABLE_PREFIX) and variable not in by_variable and variable != CONFIG_VARIABLE:
            hint = suggest_setting(variable.removeprefix(VARIABLE_PREFIX), variable_name)
            raise ConfigError(f"Unknown variable {variable}: no setting has that name.{hint}")
    given = {setting: environ[variable] for variable, setting in by_variable.items() if variable in environ}
    return {
        setting.name: parse_setting(setting, convert_text(setting.kind, text), f"The variable {setting.variable}")
        for setting, text in given.items()
    }


def read_config_file(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"The configuration file {path} can't be read: {error.strerror}.") from error
    except ValueError as error:
        raise ConfigError(f"The configuration file {path} is not valid TOML: {error}.") from error
    for key in content:
        if key not in SETTINGS:
            raise ConfigError(f'Unknown key "{key}" in {path}: no setting has that name.{suggest_setting(key, str)}')
    return {key: parse_setting(SETTINGS[key], value, f"The key {key} in {path}") for key, value in content.items()}


def parse_setting(setting: Setting, value: object, source: str) -> Any:
    """Raises ConfigError, which names the source."""
    try:
        return setting.kind.parse(value, source)
    except InvalidParameter as error:
        raise ConfigError(error.message) from error


def convert_text(kind: Kind, value: object) -> object:
    """Converts the text of a flag or variable to the type of its kind. Invalid text is returned as it is, for the kind
    to refuse.
    """
    if not isinstance(value, str):
        return value
    if isinstance(kind, Integer) and re.fullmatch("[+-]?[0-9]{1,18}", value):
        return int(value)
    if isinstance(kind, Number) and re.fullmatch(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?", value):
        return float(value)
    if isinstance(kind, Boolean):
        return {"true": True, "1": True, "false": False, "0": False}.get(value.lower(), value)
    if isinstance(kind, Array):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


def suggest_setting(name: str, spell: Callable[[str], str]) -> str:
    """Suggests the setting closest to `name`, or lists all. `spell` maps a setting's name to what the user types."""
    close = difflib.get_close_matches(name.lower().replace("-", "_"), SETTINGS, n=1)
    if close:
        return f" Did you mean {spell(close[0])}?"
    return f" The settings are: {', '.join(spell(known) for known in SETTINGS)}."
