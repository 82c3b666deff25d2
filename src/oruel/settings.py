"""The declarations of the server's settings, which config.py reads. Each is a field of Settings, from which its flag,
variable, TOML key and help derive.
"""

import dataclasses
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from oruel.addresses import is_loopback
from oruel.contract.kinds import Array, Boolean, Integer, JSONSchema, Kind, Number, String, StringEnum
from oruel.errors import ConfigError, InvalidParameter

BUNDLED_MODEL = "demo"
BUNDLED_ALIASES = ("llama-4-maverick",)
VARIABLE_PREFIX = "ORUEL_"

# A day at most.
SECONDS = Number(0.001, 86400)
MOST_HIDDEN = 4096


@dataclass(frozen=True)
class ApiKey:
    """The SHA-256 of an API key. The key itself is not kept, so that no log and no repr can reveal it."""

    sha256: bytes = dataclasses.field(repr=False)


@dataclass(frozen=True)
class Secret:
    """A key that an HTTP header can carry. Its errors never repeat the value."""

    def parse(self, value: object, path: str) -> ApiKey:
        if not isinstance(value, str) or not re.fullmatch("[!-~]{1,512}", value):
            raise InvalidParameter(f"{path} must be {self}; the given value is not.")
        return ApiKey(hashlib.sha256(value.encode()).digest())

    def schema(self) -> JSONSchema:
        return {"type": "string", "pattern": "^[!-~]{1,512}$"}

    def __str__(self) -> str:
        return "1 to 512 printable ASCII characters without spaces"


class HiddenText:
    """A text that no log, error or repr may show; `text` reveals it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HiddenText) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return "HiddenText(…)"


@dataclass(frozen=True)
class Hidden:
    """A text that is kept as HiddenText. `described` completes "must be"; errors never repeat the value."""

    minimum: int
    described: str

    def parse(self, value: object, path: str) -> HiddenText:
        if not isinstance(value, str) or not self.minimum <= len(value) <= MOST_HIDDEN or not value.isprintable():
            raise InvalidParameter(f"{path} must be {self}; the given value is not.")
        return HiddenText(value)

    def schema(self) -> JSONSchema:
        return {"type": "string", "minLength": self.minimum, "maxLength": MOST_HIDDEN}

    def __str__(self) -> str:
        return self.described


@dataclass(frozen=True)
class StoreLocation(Hidden):
    """Where the ledger is, as HiddenText, since a URL may contain a password; None for "none"."""

    minimum: int = 1
    described: str = 'a path, sqlite:///PATH, postgresql://USER:PASSWORD@HOST/DATABASE, or "none"'

    def parse(self, value: object, path: str) -> HiddenText | None:  # type: ignore[override]  # a setting that may be None
        location = super().parse(value, path)
        return None if location.text == "none" else location


@dataclass(frozen=True)
class Origin(String):
    """The origin of a web page. Its scheme need not be http: desktop programs and browser extensions have their own."""

    minimum: int = 1
    maximum: int | None = 255
    pattern: str | None = r"\*|[a-z][a-z0-9+.-]*://[^/\s]+"

    def __str__(self) -> str:
        return 'an origin such as https://app.example, or "*"'


def setting(default: object, kind: Kind, summary: str, *, note: str = "", variable: str = "") -> Any:
    """Declares a setting. `note` describes a default of None. `variable` overrides the name of the variable."""
    return dataclasses.field(
        default=default, metadata={"kind": kind, "summary": summary, "note": note, "variable": variable}
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Raises ConfigError if the settings contradict each other."""

    model: str = setting(
        BUNDLED_MODEL,
        String(1),
        "The model: demo (bundled), a path to a GGUF file, or hf:OWNER/REPO/FILE.gguf from the Hugging Face hub.",
    )
    catalog: str | None = setting(
        None,
        String(1),
        "A TOML file of models, prices and deployments, used instead of model; see docs/catalog.md.",
        note="none",
    )
    alias: tuple[str, ...] | None = setting(
        None,
        Array(String(1, 128), maximum=64),
        "Another name for the model; may be repeated.",
        note=f"{', '.join(BUNDLED_ALIASES)} for the bundled model, else none",
    )
    ctx: int | None = setting(
        None,
        Integer(1, 2**24),
        "The context window of one request, prompt and answer, in tokens.",
        note="the model's training context, at most 8192",
    )
    kv: int | None = setting(
        None,
        Integer(1, 2**30),
        "The size of the KV cache that all running requests share, in tokens; at least ctx.",
        note="ctx times parallel if parallel is set, else 32768 or ctx, whichever is larger",
    )
    parallel: int | None = setting(
        None,
        Integer(1, 255),
        "How many sequences run at once, each with room for a whole context window in the KV cache.",
        note="as many as the KV cache has room for, at most 16",
    )
    max_waiting: int = setting(
        256,
        Integer(0, 65536),
        "How many sequences may wait in the queue; further requests are refused with status 503.",
    )
    queue_seconds: float = setting(60.0, SECONDS, "How long a request may wait in the queue, in seconds.")
    first_token_seconds: float = setting(
        300.0, SECONDS, "How long a request may wait for its first token, in seconds; its time in the queue counts."
    )
    total_seconds: float = setting(3600.0, SECONDS, "How long a whole answer may take, in seconds.")
    preparation_seconds: float = setting(
        2.0,
        SECONDS,
        "How much CPU time the preparation of one part of a request, such as its tools, may take, in seconds.",
    )
    threads: int | None = setting(
        None,
        Integer(1, 1024),
        "The number of compute threads.",
        note="measured at startup; fewer while other processes use the cores",
    )
    gpu_layers: int = setting(0, Integer(0, 9999), "How many of the model's layers to offload to the GPU.")
    host: str = setting("127.0.0.1", String(1, 255), "The address to listen on.")
    port: int = setting(8000, Integer(0, 65535), "The port to listen on; 0 picks a free port.")
    api_key: ApiKey | None = setting(  # noqa: RUF009 - it is dataclasses.field
        None,
        Secret(),
        "The key that clients must send. Prefer the variable: other users of the machine can see a process's flags.",
        note="no key",
    )
    store: HiddenText | None = setting(  # noqa: RUF009 - it is dataclasses.field
        None,
        StoreLocation(),
        "Where the ledger of accounts, keys and requests is: a path or sqlite:///PATH, a postgresql:// URL, or none. "
        "Prefer the variable for a URL with a password.",
        note="oruel/ledger.db in the user's data directory",
    )
    key_secret: HiddenText | None = setting(  # noqa: RUF009 - it is dataclasses.field
        None,
        Hidden(32, "at least 32 printable characters"),
        "The secret with which the store hashes keys, the same for all servers that share it. Prefer the variable.",
        note="a file next to a SQLite store, created on first use",
    )
    open: bool = setting(False, Boolean(), "Serve without a key on an address that other machines can reach.")
    max_body_bytes: int = setting(8 * 2**20, Integer(1024, 2**30), "The largest request body, in bytes.")
    body_seconds: float = setting(
        30.0,
        SECONDS,
        "How long a client may take to send a body, in seconds, plus one second for each 16 KiB received.",
    )
    head_seconds: float = setting(
        10.0, SECONDS, "How long a client may take to send the request line and headers, in seconds."
    )
    idle_seconds: float = setting(75.0, SECONDS, "How long a connection may be idle between requests, in seconds.")
    write_seconds: float = setting(
        60.0,
        SECONDS,
        "How long a client may leave its answer unread, in seconds, plus one second for each 2 KiB that it has read.",
    )
    max_connections: int = setting(
        1024, Integer(1, 65536), "How many connections may be open at once; fewer if the limit on open files is low."
    )
    max_connections_per_address: int = setting(
        512, Integer(1, 65536), "How many connections one client address may have open at once."
    )
    unknown_fields: Literal["refuse", "report"] = setting(
        "refuse",
        StringEnum(("refuse", "report")),
        "What to do with unknown request fields: refuse the request, or report them in the header x-oruel-ignored.",
    )
    share_prefixes: Literal["account", "all"] = setting(
        "account",
        StringEnum(("account", "all")),
        "Who shares the prefix cache: account, requests of the same account; all, requests of all accounts, though "
        "timing can then reveal what others sent.",
    )
    template_kwargs: tuple[str, ...] = setting(
        (),
        Array(String(1, 128), maximum=64),
        "A key that requests may set in chat_template_kwargs; may be repeated.",
    )
    tool_prompt: Literal["template", "generic"] = setting(
        "template",
        StringEnum(("template", "generic")),
        "What to do if a model's chat template doesn't support tools: template, refuse requests with tools; generic, "
        "describe the tools in a message that Oru'el adds.",
    )
    allowed_hosts: tuple[str, ...] = setting(
        (),
        Array(String(1, 255), maximum=64),
        "A name that requests may send in the Host header, in addition to the listening address; may be repeated.",
    )
    allowed_origins: tuple[str, ...] = setting(
        (),
        Array(Origin(), maximum=64),
        "The origin of a web page that may send requests, as in https://app.example, in addition to the server's own "
        "pages; * allows every page; may be repeated.",
    )
    web: bool = setting(True, Boolean(), "Serve the playground at /.")
    log_prompts: bool = setting(False, Boolean(), "Write prompts and answers to the log.")
    log_format: str = setting(
        "auto",
        StringEnum(("auto", "console", "json")),
        "The format of log lines; auto: console in a terminal, otherwise json.",
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

    def require_key(self, *, store_has_keys: bool) -> None:
        """Raises ConfigError if other machines may reach the server and no key is required."""
        if not (is_loopback(self.host) or self.api_key or store_has_keys or self.open):
            raise ConfigError(
                f"Other machines may be able to reach the server on host {self.host}, and no API key is set. Make keys "
                f"with oruel keys create, set one in {variable_name('api_key')}, listen on 127.0.0.1, or pass --open "
                "to serve without a key."
            )

    @property
    def aliases(self) -> tuple[str, ...]:
        if self.alias is not None:
            return self.alias
        return BUNDLED_ALIASES if self.model == BUNDLED_MODEL else ()


@dataclass(frozen=True)
class Setting:
    """The declaration of one field of Settings."""

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


def declared_settings() -> dict[str, Setting]:
    return {
        field.name: Setting(
            name=field.name,
            kind=field.metadata["kind"],
            summary=field.metadata["summary"],
            default=field.default,
            note=field.metadata["note"],
            variable=field.metadata["variable"] or VARIABLE_PREFIX + field.name.upper(),
        )
        for field in dataclasses.fields(Settings)
    }


SETTINGS: Mapping[str, Setting] = declared_settings()


def variable_name(name: str) -> str:
    return SETTINGS[name].variable
