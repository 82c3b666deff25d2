"""The composition root: settings in, a running endpoint out. The only place that names concrete parts."""

import asyncio
import hashlib
import socket
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge

from oruel.announcement import Announcement, address
from oruel.api.deadline import Deadlines
from oruel.api.routes import create_api
from oruel.api.server import Server, on_signals
from oruel.api.services import Health, Services
from oruel.backends.local import LocalBackend
from oruel.config import Settings, is_loopback
from oruel.engine.client import EngineClient
from oruel.engine.protocol import Ready, Start
from oruel.errors import ConfigError
from oruel.llama.library import load_library
from oruel.llama.model import Model
from oruel.router.catalog import Catalog, ModelCard
from oruel.router.router import Router
from oruel.text.tokenizer import Tokenizer

FINGERPRINT_BYTES = 2**20


@dataclass(frozen=True)
class Patience:
    """Seconds: `grace`, which running requests have to finish once the server is to stop; `silence`, after which an
    engine counts as hung.
    """

    grace: float = 10.0
    silence: float = 30.0


def serve(
    settings: Settings,
    model_path: Path,
    announce: Callable[[Announcement], None],
    patience: Patience = Patience(),
) -> None:
    """Runs the endpoint until SIGINT or SIGTERM. Raises StartupError before it takes requests."""
    with listen(settings.host, settings.port) as listener, suppress(asyncio.CancelledError):
        asyncio.run(run(settings, model_path, listener, announce, patience))
    sys.stderr.write("oruel: stopped\n")


async def run(
    settings: Settings,
    model_path: Path,
    listener: socket.socket,
    announce: Callable[[Announcement], None],
    patience: Patience,
) -> None:
    """A signal that comes before requests are taken cancels this."""
    running = asyncio.current_task()
    assert running is not None
    on_signals(running.cancel)
    async with AsyncExitStack() as owned:
        model = owned.enter_context(Model(model_path, vocabulary_only=True, library=load_library(settings.libllama)))
        engine = EngineClient(
            start_message(settings, model_path),
            max_waiting=settings.max_waiting,
            watchdog_seconds=patience.silence,
        )
        owned.push_async_callback(engine.close)
        ready = await engine.start()
        services = compose(settings, model, engine, ready)
        said = announcement(settings, listener, services.catalog.cards[0], ready)
        server = Server(create_api(services), lambda: announce(said), cut=engine.close, grace_seconds=patience.grace)
        await server.serve(sockets=[listener])


def start_message(settings: Settings, model_path: Path) -> Start:
    return Start(
        model=str(model_path),
        library=settings.libllama,
        context=settings.ctx,
        pool=settings.kv,
        parallel=settings.parallel,
        threads=settings.threads,
        gpu_layers=settings.gpu_layers,
    )


def compose(settings: Settings, model: Model, engine: EngineClient, ready: Ready) -> Services:
    """Wraps the one deployment there is: Router over LocalBackend over the engine."""
    vocabulary = model.vocabulary
    tokenizer = Tokenizer(vocabulary, model.chat_template, describes_tools=settings.tool_prompt == "generic")
    card = ModelCard(
        name=model.path.stem,
        context=ready.context,
        vocabulary_size=vocabulary.size,
        created=int(model.path.stat().st_mtime),
        aliases=settings.aliases,
        template_kwargs=settings.template_kwargs,
        writes_json=ready.writes_json,
        calls_tools=ready.writes_json and tokenizer.has_tools,
    )
    catalog = Catalog((card,))
    local = LocalBackend(
        engine,
        tokenizer,
        model=card.name,
        context=ready.context,
        shares_with_all=settings.share_prefixes == "all",
    )
    return Services(
        backend=Router(catalog, {card.name: local}),
        catalog=catalog,
        tokenizers={card.name: tokenizer},
        health=lambda: Health(engine.process.status, engine.process.restarts, engine.process.detail),
        fingerprint=fingerprint(model.path, ready),
        registry=gauges(engine),
        deadlines=Deadlines(settings.queue_seconds, settings.first_token_seconds, settings.total_seconds),
        max_body_bytes=settings.max_body_bytes,
        api_key_hashes=(settings.api_key.sha256,) if settings.api_key else (),
        allowed_hosts=allowed_hosts(settings),
        unknown_fields=settings.unknown_fields,
        log_prompts=settings.log_prompts,
    )


def allowed_hosts(settings: Settings) -> tuple[str, ...]:
    """On the loopback, names that a web page could have rebound are refused; elsewhere the operator decides."""
    if settings.allowed_hosts or is_loopback(settings.host):
        return (settings.host, *settings.allowed_hosts)
    return ("*",)


def fingerprint(model_path: Path, ready: Ready) -> str:
    """Names the model, the kernels and the determinism mode: what the same seed needs to give the same text."""
    with model_path.open("rb") as file:
        head = file.read(FINGERPRINT_BYTES)
    identity = f"{model_path.stat().st_size} {ready.kernels} batch-dependent".encode()
    return f"fp_{hashlib.sha256(identity + head).hexdigest()[:16]}"


def gauges(engine: EngineClient) -> CollectorRegistry:
    """The engine's state as of its last step, read when /metrics is."""
    registry = CollectorRegistry()

    def gauge(name: str, summary: str, read: Callable[[], float]) -> None:
        Gauge(f"oruel_engine_{name}", summary, registry=registry).set_function(read)

    gauge("running", "Sequences that are being computed.", lambda: engine.load.running)
    gauge("waiting", "Sequences that wait for a place.", lambda: engine.load.waiting)
    gauge("kv_used", "Tokens in the KV cache.", lambda: engine.load.kv_used)
    gauge("preemptions", "Sequences put back because the KV cache was full.", lambda: engine.load.preemptions)
    gauge("steps", "Steps since the engine started.", lambda: engine.load.steps)
    gauge("computed", "Prompt tokens computed since the engine started.", lambda: engine.load.computed)
    gauge("cached", "Prompt tokens found in the KV cache since the engine started.", lambda: engine.load.cached)
    gauge("restarts", "How often the engine process had to be started again.", lambda: engine.process.restarts)
    return registry


def listen(host: str, port: int) -> socket.socket:
    """Bound before the model is loaded, so that a taken port is known at once. Raises ConfigError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
        # Connections inherit it; asyncio sets it only on sockets that name their protocol, which these don't. Without
        # it the second write of an answer waits 40 ms for the client's acknowledgement of the first.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        raise ConfigError(f"Can't listen on {host}:{port}: {error.strerror}. Choose another with --port.") from error


def announcement(settings: Settings, listener: socket.socket, card: ModelCard, ready: Ready) -> Announcement:
    return Announcement(
        url=address(settings.host, listener.getsockname()[1]),
        model=card.name,
        aliases=card.aliases,
        context=ready.context,
        kv=ready.pool,
        parallel=ready.parallel,
        needs_key=settings.api_key is not None,
    )
