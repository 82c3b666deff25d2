"""Settings of the server, and the only reader of flags, environment and TOML.

Flags win over variables, variables over the TOML file, the file over the defaults. Every setting is declared once,
as a field of Settings; its flag, variable, TOML key and help derive from that.
"""

import dataclasses
import difflib
import hashlib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from oruel.addresses import is_loopback
from oruel.contract.kinds import Array, Boolean, Integer, JSONSchema, Kind, Number, String, StringEnum
from oruel.errors import ConfigError, InvalidParameter

BUNDLED_MODEL = "demo"
BUNDLED_ALIASES = ("llama-4-maverick",)
CONFIG_FILE = "oruel.toml"
CONFIG_VARIABLE = "ORUEL_CONFIG"
PREFIX = "ORUEL_"

# A day at most.
SECONDS = Number(0.001, 86400)


@dataclass(frozen=True)
class ApiKey:
    """What is kept of the key: its SHA-256, so that no log and no repr can betray it."""

    sha256: bytes = dataclasses.field(repr=False)


@dataclass(frozen=True)
class Secret:
    """A key as an HTTP header can carry it. Its errors never repeat the value."""

    def parse(self, value: object, path: str) -> ApiKey:
        if not isinstance(value, str) or not re.fullmatch("[!-~]{1,512}", value):
            raise InvalidParameter(f"{path} must be {self}; what was given is not.")
        return ApiKey(hashlib.sha256(value.encode()).digest())

    def schema(self) -> JSONSchema:
        return {"type": "string", "pattern": "^[!-~]{1,512}$"}

    def __str__(self) -> str:
        return "1 to 512 printable ASCII characters without spaces"


def setting(default: object, kind: Kind, summary: str, *, note: str = "", variable: str = "") -> Any:
    """Declares a setting. `note` says in words what a default of None amounts to."""
    return dataclasses.field(
        default=default, metadata={"kind": kind, "summary": summary, "note": note, "variable": variable}
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Raises ConfigError where the settings contradict each other."""

    model: str = setting(
        BUNDLED_MODEL,
        String(1),
        "The model: demo (bundled), a path to a GGUF file, or hf:OWNER/REPO/FILE.gguf from the Hugging Face hub.",
    )
    catalog: str | None = setting(
        None,
        String(1),
        "A TOML file of models, prices and deployments, in place of model; docs/scaling.md describes it.",
        note="none",
    )
    alias: tuple[str, ...] | None = setting(
        None,
        Array(String(1, 128), maximum=64),
        "Another name that the model answers to; may be repeated.",
        note=f"{', '.join(BUNDLED_ALIASES)} for the bundled model, else none",
    )
    ctx: int | None = setting(
        None,
        Integer(1, 2**24),
        "The window of one request, prompt and answer, in tokens.",
        note="what the model was trained for, at most 8192",
    )
    kv: int | None = setting(
        None,
        Integer(1, 2**30),
        "The pool that all running requests share, in tokens; at least ctx.",
        note="ctx times parallel; without that 32768, at least ctx",
    )
    parallel: int | None = setting(
        None,
        Integer(1, 255),
        "How many sequences run at once; each has a whole window of the pool.",
        note="as many windows as the pool holds, at most 16",
    )
    max_waiting: int = setting(
        256,
        Integer(0, 65536),
        "How many sequences may wait for others to end; a request that comes on top is refused with status 503.",
    )
    queue_seconds: float = setting(60.0, SECONDS, "How long a request may wait for a place, in seconds.")
    first_token_seconds: float = setting(
        300.0, SECONDS, "How long a request may wait for its first token, the queue included, in seconds."
    )
    total_seconds: float = setting(3600.0, SECONDS, "How long a whole answer may take, in seconds.")
    preparation_seconds: float = setting(
        2.0, SECONDS, "How much CPU time it may take to prepare one part of a request, such as its tools, in seconds."
    )
    threads: int | None = setting(
        None,
        Integer(1, 1024),
        "Threads that compute.",
        note="measured at the start, and fewer while other processes use the cores",
    )
    gpu_layers: int = setting(0, Integer(0, 9999), "Layers to put on the GPU.")
    host: str = setting("127.0.0.1", String(1, 255), "The address to listen on.")
    port: int = setting(8000, Integer(0, 65535), "The port to listen on; 0 takes a free one.")
    api_key: ApiKey | None = setting(  # noqa: RUF009 - it is dataclasses.field
        None,
        Secret(),
        "The key that clients must send. Better set as a variable: other users can see the flags of a process.",
        note="no key",
    )
    open: bool = setting(False, Boolean(), "Serve without a key on an address that other machines can reach.")
    max_body_bytes: int = setting(8 * 2**20, Integer(1024, 2**30), "The largest request body, in bytes.")
    body_seconds: float = setting(
        30.0, SECONDS, "How long a request body may take, in seconds; a second more for each 16 KiB received."
    )
    head_seconds: float = setting(10.0, SECONDS, "How long the request line and headers may take, in seconds.")
    idle_seconds: float = setting(75.0, SECONDS, "How long a connection may be idle between requests, in seconds.")
    write_seconds: float = setting(
        60.0,
        SECONDS,
        "How long a client may leave what it was sent unread, in seconds, plus one for each 2 KiB that it has read.",
    )
    max_connections: int = setting(
        1024, Integer(1, 65536), "How many connections may be open at once; fewer where the limit of open files is low."
    )
    max_connections_per_address: int = setting(
        512, Integer(1, 65536), "How many connections one client address may have open at once."
    )
    unknown_fields: Literal["refuse", "report"] = setting(
        "refuse",
        StringEnum(("refuse", "report")),
        "What to do with request fields that nobody declared: refuse, or report them in the header x-oruel-ignored.",
    )
    share_prefixes: Literal["account", "all"] = setting(
        "account",
        StringEnum(("account", "all")),
        "Who may reuse the computed beginning of a prompt: the same account, or all, who may notice what others sent.",
    )
    template_kwargs: tuple[str, ...] = setting(
        (),
        Array(String(1, 128), maximum=64),
        "A key that requests may set in chat_template_kwargs; may be repeated.",
    )
    tool_prompt: Literal["template", "generic"] = setting(
        "template",
        StringEnum(("template", "generic")),
        "How a model whose chat template knows no tools is told of them: template, not at all, so that requests with "
        "tools are refused; generic, in a message of our own.",
    )
    allowed_hosts: tuple[str, ...] = setting(
        (),
        Array(String(1, 255), maximum=64),
        "A name that requests may give in their Host header, besides the address listened on; may be repeated.",
    )
    log_prompts: bool = setting(False, Boolean(), "Write prompts and answers to the log.")
    log_format: str = setting(
        "auto", StringEnum(("auto", "console", "json")), "How log lines look; auto: console in a terminal, else json."
    )
    libllama: str | None = setting(
        None,
        String(1),
        "The libllama library to load.",
        note="the one in the xllamacpp package",
        variable="LIBLLAMA",
    )

    def __post_init__(self) -> None:
        if self.kv is not None and self.ctx is not None and self.kv < self.ctx:
            raise ConfigError(
                f"kv is {self.kv} tokens, but one request may take ctx = {self.ctx}. "
                f"Set kv to at least {self.ctx}, or lower ctx."
            )
        if not (is_loopback(self.host) or self.api_key or self.open):
            raise ConfigError(
                f"On host {self.host} other machines may reach the server, and no API key is set. "
                f"Set one ({variable_name('api_key')}), listen on 127.0.0.1, or say --open to serve anybody."
            )

    @property
    def aliases(self) -> tuple[str, ...]:
        if self.alias is not None:
            return self.alias
        return BUNDLED_ALIASES if self.model == BUNDLED_MODEL else ()


@dataclass(frozen=True)
class Setting:
    """How one field of Settings is given and described."""

    name: str
    kind: Kind
    summary: str
    default: Any
    note: str
    variable: str

    @property
    def flag(self) -> str:
        return f"--{self.name.replace('_', '-')}"

    @property
    def shown_default(self) -> str:
        match self.default:
            case None:
                return self.note
            case bool():
                return str(self.default).lower()
            case float():
                return f"{self.default:g}"
            case tuple():
                return ", ".join(self.default) or "none"
            case _:
                return str(self.default)


def read_secret(variable: str) -> str | None:
    """What an environment variable holds, if it is set; for keys, which settings only name."""
    return os.environ.get(variable) or None


# What Python, the system's loader, llama.cpp, NumPy and the drivers of GPUs read.
ENGINE_VARIABLES = re.compile(
    "PATH|HOME|LANG|LC_.+|TZ|TMPDIR|TEMP|TMP|SYSTEMROOT|PYTHON.+|VIRTUAL_ENV|DYLD_.+|GLIBC_TUNABLES|MALLOC_.+"
    "|LD_(LIBRARY_PATH|PRELOAD|BIND_NOW|DEBUG.*)|(OMP|GOMP|KMP|MKL|OPENBLAS|BLIS|GGML|LLAMA|CUDA|NVIDIA|NCCL|HIP|HSA|ROCR"
    "|ROCM|ROCBLAS|HIPBLASLT|AMD|SYCL|ONEAPI|ZE|ZES|VK|VULKAN|MTL|METAL|ASCEND|MUSA)_.+"
)
SECRET_NAME = re.compile("KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH")


def engine_environment() -> dict[str, str]:
    return environment_for_engine(os.environ)


def environment_for_engine(environ: Mapping[str, str]) -> dict[str, str]:
    """What an engine process needs of this one's environment, and so none of the keys in it."""
    kept = {name: value for name, value in environ.items() if ENGINE_VARIABLES.fullmatch(name)}
    return {name: value for name, value in kept.items() if not SECRET_NAME.search(name)}


def declared_settings() -> dict[str, Setting]:
    return {
        field.name: Setting(
            name=field.name,
            kind=field.metadata["kind"],
            summary=field.metadata["summary"],
            default=field.default,
            note=field.metadata["note"],
            variable=field.metadata["variable"] or PREFIX + field.name.upper(),
        )
        for field in dataclasses.fields(Settings)
    }


SETTINGS: Mapping[str, Setting] = declared_settings()


def variable_name(name: str) -> str:
    return SETTINGS[name].variable


def load_process_settings(flags: Mapping[str, object]) -> Settings:
    """`load` with this process's environment and working directory."""
    return load_settings(flags, os.environ, Path())


def load_settings(flags: Mapping[str, object], environ: Mapping[str, str], directory: Path) -> Settings:
    """The settings, from nothing but the arguments and the TOML file that they point to.

    `flags` maps names of settings, and "config", to text, to a boolean, to a list of texts, or to None where the flag
    wasn't given. The file is the flag config, else the variable ORUEL_CONFIG, else oruel.toml in `directory` if there
    is one. Raises ConfigError, which names the flag, variable or key that is at fault.
    """
    named = flags.get("config") or environ.get(CONFIG_VARIABLE)
    path = directory / str(named or CONFIG_FILE)
    from_file = read_config_file(path) if named or path.exists() else {}
    given = {**from_file, **read_environment(environ), **read_flags(flags)}
    for name in ("model", "alias"):
        if "catalog" in given and name in given:
            raise ConfigError(
                f"{SETTINGS[name].flag} and --catalog are both given (as flags, variables or in the configuration "
                f"file), but the catalog says what there is. Leave {name} out, or write it into the catalog."
            )
    return Settings(**given)


def read_flags(flags: Mapping[str, object]) -> dict[str, Any]:
    given = {SETTINGS[name]: value for name, value in flags.items() if name != "config" and value is not None}
    return {
        setting.name: parse_setting(setting, convert_text(setting.kind, value), setting.flag)
        for setting, value in given.items()
    }


def read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    by_variable = {setting.variable: setting for setting in SETTINGS.values()}
    for variable in environ:
        if variable.startswith(PREFIX) and variable not in by_variable and variable != CONFIG_VARIABLE:
            hint = suggest_setting(variable.removeprefix(PREFIX), variable_name)
            raise ConfigError(f"The variable {variable} is no setting.{hint}")
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
            raise ConfigError(f'The key "{key}" in {path} is no setting.{suggest_setting(key, str)}')
    return {key: parse_setting(SETTINGS[key], value, f"The key {key} in {path}") for key, value in content.items()}


def parse_setting(setting: Setting, value: object, source: str) -> Any:
    """Raises ConfigError naming the source."""
    try:
        return setting.kind.parse(value, source)
    except InvalidParameter as error:
        raise ConfigError(error.message) from error


def convert_text(kind: Kind, value: object) -> object:
    """A flag or variable in the type that its kind wants; text that can't be one is left for the kind to refuse."""
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


def suggest_setting(name: str, spelt: Callable[[str], str]) -> str:
    """' Did you mean X?', or all that there is; `spelt` turns the name of a setting into what the user would write."""
    close = difflib.get_close_matches(name.lower().replace("-", "_"), SETTINGS, n=1)
    if close:
        return f" Did you mean {spelt(close[0])}?"
    return f" There are: {', '.join(spelt(known) for known in SETTINGS)}."
