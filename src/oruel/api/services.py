"""What the routes need to know and to reach, handed to them by app.py; the routes read nothing else."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import Response

from oruel.api.deadline import Deadlines
from oruel.backends.base import Backend
from oruel.jobs.base import Jobs
from oruel.router.catalog import Catalog

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Health:
    """`restarts`: how often engine processes had to be started again; `detail`: what is wrong, in words;
    `deployments`: whether each may be asked at the moment.
    """

    status: Literal["ok", "starting", "failed"]
    restarts: int = 0
    detail: str = ""
    deployments: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Services:
    """`tokenizers`: under which name jobs have the tokenizer of a model, by the model's own name. `fingerprint`: the
    system_fingerprint of what a deployment answers, None for another server, of whose kernels nothing is known here.

    `api_key_hashes`: SHA-256 of each key that opens the endpoint; with none, it is open.
    `allowed_hosts`: names beside the loopback's that the Host header may hold; "*" takes any.
    `body_seconds`: how long a body may take to arrive, and more for a large one.
    `unknown_fields`: what happens to a field that nobody declared. `log_prompts` writes messages to the log.
    """

    backend: Backend
    catalog: Catalog
    jobs: Jobs
    tokenizers: Mapping[str, str]
    health: Callable[[], Health]
    fingerprint: Callable[[str], str | None]
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    max_body_bytes: int = 8 * 2**20
    body_seconds: float = 30.0
    heartbeat_seconds: float = 10.0
    deadlines: Deadlines = Deadlines()  # noqa: RUF009 - it is frozen
    api_key_hashes: tuple[bytes, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    unknown_fields: Literal["refuse", "report"] = "refuse"
    log_prompts: bool = False
