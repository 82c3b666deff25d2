"""Starts the catalog's deployments: an engine process for each embedded model, a backend for each upstream server."""

import asyncio
import hashlib
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import structlog

from oruel.backends.base import Backend
from oruel.backends.key_redaction import KeyRedaction
from oruel.backends.local import LocalBackend
from oruel.backends.preparation import ContextWindow
from oruel.backends.upstream import UpstreamBackend
from oruel.backends.within_context import WithinContext
from oruel.config import engine_environment, read_secret
from oruel.engine.client import EngineClient
from oruel.engine.protocol import EngineReady, Start
from oruel.errors import ConfigError, StartupError
from oruel.http.exchange import UpstreamTimeouts, upstream_client
from oruel.jobs.base import Jobs
from oruel.jobs.messages import GgufTokenizer, TokenizerSource
from oruel.llama.library import load_library
from oruel.llama.model import Model
from oruel.router.catalog import ModelCard
from oruel.router.deployment import CatalogModel, Deployment, EmbeddedSource, UpstreamSource
from oruel.router.engine_route import EngineRoute
from oruel.router.route import Route
from oruel.router.upstream_key import upstream_key_fault
from oruel.settings import Settings
from oruel.text.tokenizer import Tokenizer

T = TypeVar("T")

log = structlog.get_logger("oruel.fleet")

FINGERPRINT_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class RunningEngine:
    client: EngineClient
    ready: EngineReady
    path: Path
    tokenizer: Tokenizer
    source: TokenizerSource

    @property
    def calls_tools(self) -> bool:
        return self.ready.writes_json and self.tokenizer.has_tools


@dataclass(frozen=True, slots=True)
class RunningModel:
    card: ModelCard
    routes: Sequence[Route]
    engines: Mapping[str, RunningEngine] = field(default_factory=dict)

    @property
    def tokenizer(self) -> str | None:
        """The name by which jobs know the first engine's tokenizer; None if only upstream servers have the model."""
        return next((engine.source.path for engine in self.engines.values()), None)


class Fleet:
    """Starts deployments. `files` maps the name of each embedded model in the catalog to its file. Closing `resources`
    stops everything that was started; an engine is restarted after `watchdog_seconds` without a message.
    """

    def __init__(
        self,
        settings: Settings,
        files: Mapping[str, Path],
        jobs: Jobs,
        resources: AsyncExitStack,
        *,
        watchdog_seconds: float = 30.0,
    ) -> None:
        self._settings = settings
        self._jobs = jobs
        self._files = files
        self._resources = resources
        self._watchdog_seconds = watchdog_seconds
        self._client = upstream_client()
        resources.push_async_callback(self._client.close)

    async def start(self, model: CatalogModel) -> RunningModel:
        """Raises StartupError."""
        started = await run_concurrently([self._start_deployment(model, one) for one in model.deployments])
        engines = {route.deployment.name: engine for route, engine in started if engine}
        running = list(engines.values())
        return RunningModel(
            card=build_card(model, running, self._settings.template_kwargs),
            routes=[route for route, _ in started],
            engines=engines,
        )

    async def _start_deployment(
        self, model: CatalogModel, deployment: Deployment
    ) -> tuple[Route, RunningEngine | None]:
        if isinstance(deployment.source, UpstreamSource):
            return Route(deployment, self._build_upstream(model, deployment, deployment.source)), None
        try:
            engine = await self._start_engine(model, deployment.source)
        except StartupError as error:
            if not self._settings.catalog:
                raise
            raise StartupError(f"{deployment.name} of {model.name} can't start: {error.message}") from error
        local = LocalBackend(
            engine.client,
            engine.tokenizer,
            self._jobs,
            tokenizer_name=engine.source.path,
            window=ContextWindow(model.name, engine.ready.context),
            shares_with_all=self._settings.share_prefixes == "all",
        )
        route = EngineRoute(
            deployment,
            local,
            vocabulary_size=engine.tokenizer.vocabulary_size,
            writes_json=engine.ready.writes_json,
            calls_tools=engine.calls_tools,
        )
        return route, engine

    async def _start_engine(self, model: CatalogModel, source: EmbeddedSource) -> RunningEngine:
        path = self._files[source.model]
        client = EngineClient(
            build_start_message(self._settings, path, model.context),
            environment=engine_environment(),
            max_waiting=self._settings.max_waiting,
            watchdog_seconds=self._watchdog_seconds,
        )
        # Closed after the engine: until then requests may read the vocabulary.
        vocabularies = self._resources.enter_context(ExitStack())
        self._resources.push_async_callback(client.close)
        # llama.cpp aborts on some files. The engine process loads the file first, so that an abort can't end this one.
        ready = await client.start()
        loaded = vocabularies.enter_context(
            Model(path, vocabulary_only=True, library=load_library(self._settings.libllama))
        )
        describes = self._settings.tool_prompt == "generic"
        tokenizer = Tokenizer(loaded.vocabulary, loaded.chat_template, describes_tools=describes)
        if not tokenizer.has_template:
            log.warning(
                "the model has no chat template, so ChatML is used: it was probably not trained to chat; use an "
                "instruct model",
                model=model.name,
                file=str(path),
            )
        tokenizer_source = GgufTokenizer(str(path), self._settings.libllama, describes)
        return RunningEngine(client, ready, path, tokenizer, tokenizer_source)

    def _build_upstream(self, model: CatalogModel, deployment: Deployment, source: UpstreamSource) -> Backend:
        key = upstream_key(deployment, source)
        upstream: Backend = UpstreamBackend(
            self._client,
            source.base_url,
            source.kind,
            model=model.name,
            upstream_model=source.model,
            key=key,
            timeouts=UpstreamTimeouts(
                deployment.connect_seconds, deployment.first_token_seconds, deployment.idle_seconds
            ),
        )
        upstream = KeyRedaction(upstream, key) if key else upstream
        return upstream if model.context is None else WithinContext(upstream, model.context)


async def run_concurrently(works: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Returns all results in order. If one raises StartupError, cancels the others and raises the first."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except* StartupError as failed:
        failure = failed.exceptions[0]
    else:
        return [task.result() for task in tasks]
    raise failure


def build_card(model: CatalogModel, engines: Sequence[RunningEngine], template_kwargs: tuple[str, ...]) -> ModelCard:
    """Describes the model: what at least one of its deployments supports. Each route knows what its deployment lacks.
    Of upstream servers, only what the catalog says is known.
    """
    has_upstreams = len(engines) < len(model.deployments)
    return ModelCard(
        name=model.name,
        context=model.context or min((engine.ready.context for engine in engines), default=None),
        vocabulary_size=max((engine.tokenizer.vocabulary_size for engine in engines), default=None),
        created=max((int(engine.path.stat().st_mtime) for engine in engines), default=0),
        aliases=model.aliases,
        tiers=model.tiers,
        template_kwargs=template_kwargs,
        writes_json=has_upstreams or any(engine.ready.writes_json for engine in engines),
        calls_tools=has_upstreams or any(engine.calls_tools for engine in engines),
        max_tokens=model.max_tokens,
        chat_template=template_source(engines),
    )


def template_source(engines: Sequence[RunningEngine]) -> Literal["model", "chatml"] | None:
    if not engines:
        return None
    return "model" if all(engine.tokenizer.has_template for engine in engines) else "chatml"


def upstream_key(deployment: Deployment, source: UpstreamSource) -> str | None:
    """Raises ConfigError if the variable holds no key that can be sent. No message repeats a key."""
    if source.key_variable is None:
        return None
    key = read_secret(source.key_variable)
    if fault := upstream_key_fault(key):
        raise ConfigError(f"{deployment.name} takes its key from {source.key_variable}, which {fault}.")
    return key


def build_start_message(settings: Settings, model_path: Path, context: int | None = None) -> Start:
    """`context` is the catalog's context window, which overrides the setting. Raises ConfigError if it exceeds the KV
    cache.
    """
    settings = settings if context is None else replace(settings, ctx=context)
    return Start(
        model=str(model_path),
        library=settings.libllama,
        context=settings.ctx,
        pool=settings.kv,
        parallel=settings.parallel,
        threads=settings.threads,
        gpu_layers=settings.gpu_layers,
    )


def fingerprint(engine: RunningEngine) -> str:
    """The system_fingerprint: identifies the model file and the compute kernels, on which seeded text depends."""
    with engine.path.open("rb") as file:
        head = file.read(FINGERPRINT_BYTES)
    identity = f"{engine.path.stat().st_size} {engine.ready.kernels}".encode()
    return f"fp_{hashlib.sha256(identity + head).hexdigest()[:16]}"
