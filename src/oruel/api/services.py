"""Everything that the routes depend on. app.py builds it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import Response

from oruel.api.deadline import Deadlines
from oruel.backends.base import Backend
from oruel.jobs.base import Jobs
from oruel.ledger.administration import Administration
from oruel.ledger.base import Keys, Ledger, NoKeys, Unrecorded
from oruel.router.catalog import Catalog

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Health:
    """`restarts`: how often engine processes were restarted. `detail`: what is wrong. `deployments`: whether each is
    available.
    """

    status: Literal["ok", "starting", "failed"]
    restarts: int = 0
    detail: str = ""
    deployments: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Services:
    """`tokenizers`: for each model, the name of its tokenizer in the jobs.
    `windows`: for each model of which it may change, what its window is now, in tokens.
    `fingerprint`: returns the system_fingerprint of a deployment's answers; None for upstream servers.
    `administration`: accounts, keys and usage in the store; None without a store.
    `keys`: the keys of the store. `api_key_hashes`: the SHA-256 of each further key, which has no account.
    `allowed_hosts`: allowed values of the Host header besides the names of the loopback; "*" allows any.
    `body_seconds`: how long a body may take to arrive; large bodies get more time.
    `allowed_origins`: the origins whose web pages may send requests, besides the server's own; "*" allows any.
    `web`: whether to serve the playground.
    `unknown_fields`: whether to refuse undeclared fields, or to ignore and report them.
    `log_prompts`: writes the messages of each request to the log.
    """

    backend: Backend
    catalog: Catalog
    jobs: Jobs
    tokenizers: Mapping[str, str]
    health: Callable[[], Health]
    fingerprint: Callable[[str], str | None]
    windows: Mapping[str, Callable[[], int | None]] = field(default_factory=dict)
    administration: Administration | None = None
    ledger: Ledger = field(default_factory=Unrecorded)
    keys: Keys = field(default_factory=NoKeys)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    max_body_bytes: int = 8 * 2**20
    body_seconds: float = 30.0
    heartbeat_seconds: float = 10.0
    deadlines: Deadlines = Deadlines()  # noqa: RUF009 - it is frozen
    api_key_hashes: tuple[bytes, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    web: bool = True
    unknown_fields: Literal["refuse", "report"] = "refuse"
    log_prompts: bool = False

    @property
    def requires_key(self) -> bool:
        """May become true while the server is running: when the first key is made."""
        return bool(self.api_key_hashes) or self.keys.has_keys
