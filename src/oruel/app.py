"""The composition root: builds and runs the endpoint from its settings. Only this module wires the parts together."""

import asyncio
import gc
import resource
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Gauge

from oruel.addresses import is_loopback, server_url
from oruel.announcement import Announcement
from oruel.api.chat.body import parse_chat_aside
from oruel.api.deadline import Deadlines
from oruel.api.edge import EdgeLimits
from oruel.api.examiner import EXAMPLE, examine_schemas
from oruel.api.routes import create_api
from oruel.api.server import Server, on_signals
from oruel.api.services import Health, Services
from oruel.api.tokenize import parse_tokenize_aside, tokenize_aside
from oruel.backends.preparation import prepare_in_job
from oruel.bookkeeping import NO_BOOKS, Books, open_books
from oruel.config import engine_environment
from oruel.errors import ConfigError
from oruel.fleet.embedded import EmbeddedEngine
from oruel.fleet.fleet import Fleet, run_concurrently
from oruel.fleet.running import RunningEngine, RunningModel, smallest_window
from oruel.jobs.base import Jobs
from oruel.jobs.client import JobClient
from oruel.jobs.messages import Limits
from oruel.router.catalog import Catalog
from oruel.router.deployment import CatalogModel
from oruel.router.route import Route
from oruel.router.router import Router
from oruel.settings import Settings

MAX_FILES, RESERVED_FILES = 65536, 40
SEND_BUFFER_BYTES = 2**17

JOB_FUNCTIONS: Mapping[Callable[..., Any], Any] = {
    parse_chat_aside: None,
    parse_tokenize_aside: None,
    examine_schemas: [EXAMPLE],
    prepare_in_job: None,
    tokenize_aside: None,
}
"""The functions that run in job processes, each with an example argument to warm it up, or None."""

ROUTE_GAUGES = {
    "running": "Requests in progress.",
    "asked": "Requests sent to the deployment since the server started.",
    "failed": "Requests that the deployment failed since the server started.",
}


@dataclass(frozen=True)
class ServerTimeouts:
    """In seconds. `grace`: how long running requests may continue once the server is stopping. `watchdog`: how long an
    engine may be silent before it counts as hung.
    """

    grace: float = 10.0
    watchdog: float = 30.0


def serve(
    settings: Settings,
    models: Sequence[CatalogModel],
    files: Mapping[str, Path],
    announce: Callable[[Announcement], None],
    timeouts: ServerTimeouts = ServerTimeouts(),
) -> None:
    """Runs the endpoint until SIGINT or SIGTERM. `files` maps the name of each embedded model in the catalog to its
    file. Raises StartupError if the endpoint can't start.
    """
    forbid_core_files()
    with open_listener(settings.host, settings.port) as listener, suppress(asyncio.CancelledError):
        asyncio.run(run_endpoint(settings, models, files, listener, announce, timeouts))
    with suppress(OSError):
        sys.stderr.write("oruel: stopped\n")


async def run_endpoint(
    settings: Settings,
    models: Sequence[CatalogModel],
    files: Mapping[str, Path],
    listener: socket.socket,
    announce: Callable[[Announcement], None],
    timeouts: ServerTimeouts,
) -> None:
    """A signal during startup cancels this task."""
    running = asyncio.current_task()
    assert running is not None
    on_signals(running.cancel)
    async with AsyncExitStack() as resources:
        books = await open_books(settings, models, resources)
        settings.require_key(store_has_keys=books.keys.has_keys)
        jobs = JobClient(JOB_FUNCTIONS, engine_environment(), Limits(cpu_seconds=settings.preparation_seconds))
        resources.push_async_callback(jobs.close)
        # The job server imports its modules while the engines load their models.
        await jobs.launch()
        fleet = Fleet(settings, files, jobs, resources, watchdog_seconds=timeouts.watchdog)
        started = await run_concurrently([fleet.start(model) for model in models])
        await jobs.open({engine.source for model in started for engine in model.engines.values()})
        services = build_services(settings, started, jobs, books)
        announcement = build_announcement(settings, listener, started, books)
        # These objects live as long as the server: the garbage collector need not scan them again.
        gc.collect()
        gc.freeze()
        server = Server(
            create_api(services),
            lambda: announce(announcement),
            cut=partial(close_engines, started, jobs),
            grace_seconds=timeouts.grace,
            limits=edge_limits(settings),
        )
        await server.serve(sockets=[listener])


async def close_engines(models: Sequence[RunningModel], jobs: JobClient) -> None:
    """Stops all engines and jobs, and so fails the requests that they are working on."""
    engines = [engine.close() for model in models for engine in model.engines.values()]
    await asyncio.gather(*engines, jobs.close())


def current_window(model: RunningModel) -> int | None:
    """A vLLM tells its own only once it is reached."""
    return smallest_window(model.engines.values()) or model.card.context


def build_services(settings: Settings, models: Sequence[RunningModel], jobs: Jobs, books: Books) -> Services:
    """Builds what the API needs, with a router over the deployments of each model."""
    catalog = Catalog(tuple(model.card for model in models))
    engines = engines_of(models)
    return Services(
        backend=Router(catalog, {model.card.name: model.routes for model in models}),
        catalog=catalog,
        jobs=jobs,
        ledger=books.ledger_of(catalog),
        keys=books.keys,
        administration=books.administration,
        tokenizers={model.card.name: model.tokenizer for model in models if model.tokenizer},
        windows={model.card.name: partial(current_window, model) for model in models},
        health=partial(health, models, books),
        fingerprint=lambda deployment: engines[deployment].fingerprint if deployment in engines else None,
        registry=build_gauges(models, engines),
        deadlines=Deadlines(settings.queue_seconds, settings.first_token_seconds, settings.total_seconds),
        max_body_bytes=settings.max_body_bytes,
        body_seconds=settings.body_seconds,
        api_key_hashes=(settings.api_key.sha256,) if settings.api_key else (),
        allowed_hosts=allowed_hosts(settings),
        allowed_origins=settings.allowed_origins,
        web=settings.web,
        unknown_fields=settings.unknown_fields,
        log_prompts=settings.log_prompts,
    )


def health(models: Sequence[RunningModel], books: Books = NO_BOOKS) -> Health:
    """Healthy while at least one model has an available deployment, and requests can be recorded. `detail` describes
    the models that have none.
    """
    now = time.monotonic()
    engines = engines_of(models)
    available = {route.deployment.name: route.is_available(now) for model in models for route in model.routes}
    available |= {name: available[name] and engine.status == "ok" for name, engine in engines.items()}
    restarts = sum(engine.restarts for engine in engines.values())
    down = [model for model in models if not any(available[route.deployment.name] for route in model.routes)]
    detail = " ".join(describe_outage(model) for model in down)
    if not books.is_available():
        return Health("failed", restarts, "The ledger is not available, so that requests are refused.", available)
    if len(down) < len(models):
        return Health("ok", restarts, detail, available)
    unhealthy = [engine.status for engine in engines.values() if engine.status != "ok"]
    return Health(unhealthy[0] if unhealthy else "failed", restarts, detail, available)


def describe_outage(model: RunningModel) -> str:
    details = [engine.detail for engine in model.engines.values() if engine.detail]
    return " ".join(details) or f"No deployment of {model.card.name} is available."


def engines_of(models: Sequence[RunningModel]) -> dict[str, RunningEngine]:
    """The engines by the names of their deployments."""
    return {name: engine for model in models for name, engine in model.engines.items()}


def edge_limits(settings: Settings) -> EdgeLimits:
    """Limits the connections so that enough file descriptors remain for everything else that the server opens."""
    return EdgeLimits(
        connections=max(1, min(settings.max_connections, raise_file_limit() - RESERVED_FILES)),
        per_address=settings.max_connections_per_address,
        head_seconds=settings.head_seconds,
        idle_seconds=settings.idle_seconds,
        write_seconds=settings.write_seconds,
    )


def forbid_core_files() -> None:
    """Core files would hold keys, the key secret, and what users wrote; also those of the engines and jobs, which
    inherit the limit. One byte, unlike none, also keeps Linux from passing the core to another program.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (1 if hard == resource.RLIM_INFINITY else min(hard, 1), hard))


def raise_file_limit() -> int:
    """Raises the soft limit on open files to the hard limit, at most MAX_FILES. Returns the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit


def allowed_hosts(settings: Settings) -> tuple[str, ...]:
    """On a loopback address, only known names: a web page could rebind its own (DNS rebinding). Elsewhere, any name
    unless the operator set `allowed_hosts`.
    """
    if settings.allowed_hosts or is_loopback(settings.host):
        return (settings.host, *settings.allowed_hosts)
    return ("*",)


def build_gauges(models: Sequence[RunningModel], engines: Mapping[str, RunningEngine]) -> CollectorRegistry:
    """Gauges of deployments, which are read with each scrape, and of engines, as of their last step."""
    registry = CollectorRegistry()
    by_name: dict[str, Gauge] = {}

    def gauge(name: str, summary: str, deployment: str, read: Callable[[], float]) -> None:
        if name not in by_name:
            by_name[name] = Gauge(f"oruel_{name}", summary, ["deployment"], registry=registry)
        by_name[name].labels(deployment).set_function(read)

    for route in (route for model in models for route in model.routes):
        name = route.deployment.name
        gauge("deployment_up", "Whether the deployment is available.", name, partial(is_up, route))
        for quantity, summary in ROUTE_GAUGES.items():
            gauge(f"deployment_{quantity}", summary, name, partial(getattr, route, quantity))
        gauge(
            "deployment_first_token_seconds",
            "Expected time to the first token of a request that runs alone.",
            name,
            partial(expected_first_token, route),
        )
    for name, engine in engines.items():
        for quantity, (summary, read) in engine.gauges.items():
            gauge(f"engine_{quantity}", summary, name, read)
    return registry


def is_up(route: Route) -> float:
    return route.is_available(time.monotonic())


def expected_first_token(route: Route) -> float:
    return route.latency.expected(time.monotonic()) or 0.0


def open_listener(host: str, port: int) -> socket.socket:
    """Binds the port before the model is loaded, so that a taken port is reported at once. Raises ConfigError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
        # Connections inherit TCP_NODELAY. asyncio sets it only on sockets whose protocol number is set, which these
        # lack. Without it, the second write of an answer waits 40 ms for the client to acknowledge the first.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Otherwise the kernel buffers megabytes for each client that doesn't read.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        return listener
    except OSError as error:
        raise ConfigError(
            f"Can't listen on {host}:{port}: {error.strerror}. Choose another port with --port, or address with --host."
        ) from error


def build_announcement(
    settings: Settings, listener: socket.socket, models: Sequence[RunningModel], books: Books
) -> Announcement:
    first, *others = (model.card for model in models)
    engines = [engine.ready for engine in engines_of(models).values() if isinstance(engine, EmbeddedEngine)]
    return Announcement(
        url=server_url(settings.host, listener.getsockname()[1]),
        model=first.name,
        aliases=first.aliases,
        others=tuple(card.name for card in others),
        context=first.context,
        kv=sum(ready.pool for ready in engines),
        parallel=sum(ready.parallel for ready in engines),
        threads=tuple((ready.threads, ready.cores) for ready in engines),
        needs_key=settings.api_key is not None or books.keys.has_keys,
        store=books.location,
        playground=settings.web,
    )
