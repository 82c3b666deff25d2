"""The catalog's deployments, started: an engine process for each embedded one, a backend for each server."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from oruel.backends.local import LocalBackend
from oruel.backends.upstream import Patience as UpstreamPatience
from oruel.backends.upstream import UpstreamBackend, upstream_client
from oruel.config import Settings, secret_in
from oruel.engine.client import EngineClient
from oruel.engine.protocol import Ready, Start
from oruel.errors import ConfigError
from oruel.llama.library import load_library
from oruel.llama.model import Model
from oruel.router.catalog import ModelCard
from oruel.router.deployment import CatalogModel, Deployment, Embedded, Upstream
from oruel.router.route import Route
from oruel.text.tokenizer import Tokenizer

FINGERPRINT_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class RunningEngine:
    client: EngineClient
    ready: Ready
    path: Path


@dataclass(frozen=True, slots=True)
class RunningModel:
    """`tokenizer` is that of its first engine; a model that only other servers have has none."""

    card: ModelCard
    routes: Sequence[Route]
    tokenizer: Tokenizer | None
    engines: Mapping[str, RunningEngine] = field(default_factory=dict)


class Fleet:
    """`files` are the embedded models' by the name that the catalog gives them. What is started belongs to `owned`."""

    def __init__(
        self, settings: Settings, files: Mapping[str, Path], owned: AsyncExitStack, *, silence: float = 30.0
    ) -> None:
        self._settings = settings
        self._files = files
        self._owned = owned
        self._silence = silence
        self._client = upstream_client()
        owned.push_async_callback(self._client.close)

    async def start(self, model: CatalogModel) -> RunningModel:
        """Raises StartupError."""
        routes: list[Route] = []
        engines: dict[str, RunningEngine] = {}
        card, tokenizer = served_elsewhere(model), None
        for deployment in model.deployments:
            if isinstance(deployment.source, Upstream):
                routes.append(Route(deployment, self._upstream(model, deployment, deployment.source)))
                continue
            running, local, own = await self._engine(model, deployment.source)
            engines[deployment.name] = running
            tokenizer = tokenizer or own
            card = self._card(model, running, own)
            routes.append(Route(deployment, local))
        return RunningModel(card, routes, tokenizer, engines)

    async def _engine(self, model: CatalogModel, source: Embedded) -> tuple[RunningEngine, LocalBackend, Tokenizer]:
        path = self._files[source.model]
        loaded = self._owned.enter_context(
            Model(path, vocabulary_only=True, library=load_library(self._settings.libllama))
        )
        engine = EngineClient(
            start_message(self._settings, path),
            max_waiting=self._settings.max_waiting,
            watchdog_seconds=self._silence,
        )
        self._owned.push_async_callback(engine.close)
        ready = await engine.start()
        describes = self._settings.tool_prompt == "generic"
        tokenizer = Tokenizer(loaded.vocabulary, loaded.chat_template, describes_tools=describes)
        shares = self._settings.share_prefixes == "all"
        local = LocalBackend(engine, tokenizer, model=model.name, context=ready.context, shares_with_all=shares)
        return RunningEngine(engine, ready, path), local, tokenizer

    def _card(self, model: CatalogModel, running: RunningEngine, tokenizer: Tokenizer) -> ModelCard:
        return ModelCard(
            name=model.name,
            context=running.ready.context,
            vocabulary_size=tokenizer.vocabulary_size,
            created=int(running.path.stat().st_mtime),
            aliases=model.aliases,
            tiers=model.tiers,
            template_kwargs=self._settings.template_kwargs,
            writes_json=running.ready.writes_json,
            calls_tools=running.ready.writes_json and tokenizer.has_tools,
            max_tokens=model.max_tokens,
        )

    def _upstream(self, model: CatalogModel, deployment: Deployment, source: Upstream) -> UpstreamBackend:
        return UpstreamBackend(
            self._client,
            source.base_url,
            source.kind,
            model=model.name,
            upstream_model=source.model,
            key=key_of(deployment, source),
            patience=UpstreamPatience(
                deployment.connect_seconds, deployment.first_token_seconds, deployment.idle_seconds
            ),
        )


def served_elsewhere(model: CatalogModel) -> ModelCard:
    """What is known of a model that other servers have."""
    return ModelCard(
        name=model.name,
        context=model.context,
        vocabulary_size=None,
        created=0,
        aliases=model.aliases,
        tiers=model.tiers,
        max_tokens=model.max_tokens,
    )


def key_of(deployment: Deployment, source: Upstream) -> str | None:
    """Raises ConfigError where the variable isn't set; no message repeats a key."""
    if source.key_variable is None:
        return None
    key = secret_in(source.key_variable)
    if not key:
        raise ConfigError(
            f"The deployment {deployment.name} takes its key from {source.key_variable}, which is not set. Set it, or "
            "leave key_variable out."
        )
    return key


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


def fingerprint(engines: Sequence[RunningEngine]) -> str:
    """Names the models, the kernels and the determinism mode: what the same seed needs to give the same text."""
    digest = hashlib.sha256()
    for engine in engines:
        with engine.path.open("rb") as file:
            head = file.read(FINGERPRINT_BYTES)
        digest.update(f"{engine.path.stat().st_size} {engine.ready.kernels} batch-dependent".encode() + head)
    return f"fp_{digest.hexdigest()[:16]}"
