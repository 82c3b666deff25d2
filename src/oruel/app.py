"""The composition root: settings in, a running endpoint out. The only place that names concrete parts."""

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

from oruel.announcement import Announcement, address
from oruel.api.chat.body import parse_chat_aside
from oruel.api.deadline import Deadlines
from oruel.api.edge import EdgeLimits
from oruel.api.examiner import EXAMPLE, examine_schemas
from oruel.api.routes import create_api
from oruel.api.server import Server, on_signals
from oruel.api.services import Health, Services
from oruel.api.tokenize import parse_tokenize_aside, tokenize_aside
from oruel.backends.preparation import prepare_aside
from oruel.config import Settings, engine_environment, is_loopback
from oruel.errors import ConfigError
from oruel.fleet import Fleet, RunningEngine, RunningModel, fingerprint, run_concurrently
from oruel.jobs.base import Jobs
from oruel.jobs.client import JobClient
from oruel.jobs.messages import Limits
from oruel.router.catalog import Catalog
from oruel.router.deployment import CatalogModel
from oruel.router.route import Route
from oruel.router.router import Router

MOST_FILES, RESERVED_FILES = 65536, 40
SEND_BUFFER_BYTES = 2**17

WORKS: Mapping[Callable[..., Any], Any] = {
    parse_chat_aside: None,
    parse_tokenize_aside: None,
    examine_schemas: [EXAMPLE],
    prepare_aside: None,
    tokenize_aside: None,
}
"""What runs in processes of its own."""

ROUTE_GAUGES = {
    "running": "Requests that it has.",
    "asked": "Requests that were sent there since the start.",
    "failed": "Those that it failed.",
}
ENGINE_GAUGES = {
    "running": "Sequences that are being computed.",
    "waiting": "Sequences that wait for a place.",
    "kv_used": "Tokens in the KV cache.",
    "preemptions": "Sequences that were put back for a turbo one.",
    "steps": "Steps since the engine started.",
    "computed": "Prompt tokens computed since the engine started.",
    "cached": "Prompt tokens found in the KV cache since the engine started.",
    "threads": "Threads that compute; fewer while other processes use the cores.",
}


@dataclass(frozen=True)
class ServerTimeouts:
    """Seconds: `grace`, which running requests have to finish once the server is to stop; `silence`, after which an
    engine counts as hung.
    """

    grace: float = 10.0
    silence: float = 30.0


def serve(
    settings: Settings,
    models: Sequence[CatalogModel],
    files: Mapping[str, Path],
    announce: Callable[[Announcement], None],
    patience: ServerTimeouts = ServerTimeouts(),
) -> None:
    """Runs the endpoint until SIGINT or SIGTERM. `files` are the embedded models' by the name that the catalog gives
    them. Raises StartupError before it takes requests.
    """
    with listen(settings.host, settings.port) as listener, suppress(asyncio.CancelledError):
        asyncio.run(run(settings, models, files, listener, announce, patience))
    with suppress(OSError):
        sys.stderr.write("oruel: stopped\n")


async def run(
    settings: Settings,
    models: Sequence[CatalogModel],
    files: Mapping[str, Path],
    listener: socket.socket,
    announce: Callable[[Announcement], None],
    patience: ServerTimeouts,
) -> None:
    """A signal that comes before requests are taken cancels this."""
    running = asyncio.current_task()
    assert running is not None
    on_signals(running.cancel)
    async with AsyncExitStack() as owned:
        jobs = JobClient(WORKS, engine_environment(), Limits(seconds=settings.preparation_seconds))
        owned.push_async_callback(jobs.close)
        # It imports what it needs while the engines load their models.
        await jobs.launch()
        fleet = Fleet(settings, files, jobs, owned, silence=patience.silence)
        started = await run_concurrently([fleet.start(model) for model in models])
        await jobs.open({engine.source for model in started for engine in model.engines.values()})
        services = compose(settings, started, jobs)
        said = announcement(settings, listener, started)
        # What lives as long as the server needn't be looked through for garbage again and again.
        gc.collect()
        gc.freeze()
        server = Server(
            create_api(services),
            lambda: announce(said),
            cut=partial(cut, started, jobs),
            grace_seconds=patience.grace,
            limits=edge_limits(settings),
        )
        await server.serve(sockets=[listener])


async def cut(models: Sequence[RunningModel], jobs: JobClient) -> None:
    """Ends all engines and jobs, and what they compute with them."""
    engines = [engine.client.close() for model in models for engine in model.engines.values()]
    await asyncio.gather(*engines, jobs.close())


def compose(settings: Settings, models: Sequence[RunningModel], jobs: Jobs) -> Services:
    """Router over each model's deployments."""
    catalog = Catalog(tuple(model.card for model in models))
    engines = {name: engine for model in models for name, engine in model.engines.items()}
    return Services(
        backend=Router(catalog, {model.card.name: model.routes for model in models}),
        catalog=catalog,
        jobs=jobs,
        tokenizers={model.card.name: model.tokenizer for model in models if model.tokenizer},
        health=partial(health, models),
        fingerprint={name: fingerprint(engine) for name, engine in engines.items()}.get,
        registry=gauges(models, engines),
        deadlines=Deadlines(settings.queue_seconds, settings.first_token_seconds, settings.total_seconds),
        max_body_bytes=settings.max_body_bytes,
        body_seconds=settings.body_seconds,
        api_key_hashes=(settings.api_key.sha256,) if settings.api_key else (),
        allowed_hosts=allowed_hosts(settings),
        unknown_fields=settings.unknown_fields,
        log_prompts=settings.log_prompts,
    )


def health(models: Sequence[RunningModel]) -> Health:
    """Well while some model has a deployment that may be asked; what is wrong with others is told beside it."""
    now = time.monotonic()
    engines = {name: engine.client.process for model in models for name, engine in model.engines.items()}
    asked = {route.deployment.name: route.breaker.allows(now) for model in models for route in model.routes}
    asked |= {name: asked[name] and process.status == "ok" for name, process in engines.items()}
    restarts = sum(process.restarts for process in engines.values())
    down = [model for model in models if not any(asked[route.deployment.name] for route in model.routes)]
    detail = " ".join(trouble(model) for model in down)
    if len(down) < len(models):
        return Health("ok", restarts, detail, asked)
    ill = [process.status for process in engines.values() if process.status != "ok"]
    return Health(ill[0] if ill else "failed", restarts, detail, asked)


def trouble(model: RunningModel) -> str:
    told = [engine.client.process.detail for engine in model.engines.values() if engine.client.process.detail]
    return " ".join(told) or f"No deployment of {model.card.name} can be asked."


def edge_limits(settings: Settings) -> EdgeLimits:
    """Connections leave enough files for everything else that the server opens."""
    return EdgeLimits(
        connections=max(1, min(settings.max_connections, open_files() - RESERVED_FILES)),
        per_address=settings.max_connections_per_address,
        head_seconds=settings.head_seconds,
        idle_seconds=settings.idle_seconds,
        write_seconds=settings.write_seconds,
    )


def open_files() -> int:
    """How many files this process may open, after the soft limit was raised to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most


def allowed_hosts(settings: Settings) -> tuple[str, ...]:
    """On the loopback, names that a web page could have rebound are refused; elsewhere the operator decides."""
    if settings.allowed_hosts or is_loopback(settings.host):
        return (settings.host, *settings.allowed_hosts)
    return ("*",)


def gauges(models: Sequence[RunningModel], engines: Mapping[str, RunningEngine]) -> CollectorRegistry:
    """The state of deployments, read when /metrics is; that of engines as of their last steps."""
    registry = CollectorRegistry()
    made: dict[str, Gauge] = {}

    def gauge(name: str, summary: str, deployment: str, read: Callable[[], float]) -> None:
        if name not in made:
            made[name] = Gauge(f"oruel_{name}", summary, ["deployment"], registry=registry)
        made[name].labels(deployment).set_function(read)

    for route in (route for model in models for route in model.routes):
        name = route.deployment.name
        gauge("deployment_up", "Whether it may be asked.", name, partial(is_up, route))
        for quantity, summary in ROUTE_GAUGES.items():
            gauge(f"deployment_{quantity}", summary, name, partial(getattr, route, quantity))
        gauge(
            "deployment_first_token_seconds",
            "Expected of a request that is alone there.",
            name,
            partial(pace_of, route),
        )
    for name, engine in engines.items():
        for quantity, summary in ENGINE_GAUGES.items():
            gauge(f"engine_{quantity}", summary, name, partial(load_of, engine, quantity))
        restarts = partial(getattr, engine.client.process, "restarts")
        gauge("engine_restarts", "How often its process was started again.", name, restarts)
    return registry


def is_up(route: Route) -> float:
    return route.breaker.allows(time.monotonic())


def pace_of(route: Route) -> float:
    return route.latency.expected(time.monotonic()) or 0.0


def load_of(engine: RunningEngine, quantity: str) -> float:
    value: float = getattr(engine.client.load, quantity)
    return value


def listen(host: str, port: int) -> socket.socket:
    """Bound before the model is loaded, so that a taken port is known at once. Raises ConfigError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
        # Connections inherit it; asyncio sets it only on sockets that name their protocol, which these don't. Without
        # it the second write of an answer waits 40 ms for the client's acknowledgement of the first.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Else the system holds megabytes for each client that reads nothing.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        return listener
    except OSError as error:
        raise ConfigError(f"Can't listen on {host}:{port}: {error.strerror}. Choose another with --port.") from error


def announcement(settings: Settings, listener: socket.socket, models: Sequence[RunningModel]) -> Announcement:
    first, *others = (model.card for model in models)
    engines = [engine.ready for model in models for engine in model.engines.values()]
    return Announcement(
        url=address(settings.host, listener.getsockname()[1]),
        model=first.name,
        aliases=first.aliases,
        others=tuple(card.name for card in others),
        context=first.context,
        kv=sum(ready.pool for ready in engines),
        parallel=sum(ready.parallel for ready in engines),
        threads=tuple((ready.threads, ready.cores) for ready in engines),
        needs_key=settings.api_key is not None,
    )
