"""An embedded engine of the catalog: its process, its tokenizer and its route."""

import hashlib
from collections.abc import Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import structlog

from oruel.backends.local import LocalBackend
from oruel.backends.preparation import ContextWindow
from oruel.config import engine_environment
from oruel.engine.client import EngineClient
from oruel.engine.protocol import EngineReady, Start
from oruel.fleet.running import EngineGauge
from oruel.jobs.base import Jobs
from oruel.jobs.messages import GgufTokenizer
from oruel.llama.library import load_library
from oruel.llama.model import Model
from oruel.router.deployment import CatalogModel, Deployment
from oruel.router.engine_route import EngineRoute
from oruel.settings import Settings
from oruel.text.tokenizer import Tokenizer

log = structlog.get_logger("oruel.fleet")

FINGERPRINT_BYTES = 2**20
GAUGES = {
    "running": "Sequences in progress.",
    "waiting": "Sequences in the queue.",
    "kv_used": "Tokens in the KV cache.",
    "preemptions": "Sequences preempted by turbo sequences since the engine started.",
    "steps": "Steps since the engine started.",
    "computed": "Prompt tokens computed since the engine started.",
    "cached": "Prompt tokens reused from the KV cache since the engine started.",
    "threads": "Compute threads; fewer while other processes use the cores.",
}


@dataclass(frozen=True, slots=True)
class EmbeddedEngine:
    """See RunningEngine. `path` is the model's file, `process` and its state those of `client`."""

    client: EngineClient
    ready: EngineReady
    path: Path
    tokenizer: Tokenizer
    source: GgufTokenizer
    fingerprint: str

    @property
    def context(self) -> int:
        return self.ready.context

    @property
    def created(self) -> int:
        return int(self.path.stat().st_mtime)

    @property
    def writes_json(self) -> bool:
        return self.ready.writes_json

    @property
    def calls_tools(self) -> bool:
        return self.ready.writes_json and self.tokenizer.has_tools

    @property
    def status(self) -> Literal["starting", "ok", "failed"]:
        return self.client.process.status

    @property
    def restarts(self) -> int:
        return self.client.process.restarts

    @property
    def detail(self) -> str:
        return self.client.process.detail

    @property
    def gauges(self) -> Mapping[str, EngineGauge]:
        """As of the engine's last step."""
        loads = {name: EngineGauge(summary, partial(self._read_load, name)) for name, summary in GAUGES.items()}
        return {**loads, "restarts": EngineGauge("Restarts of the engine process.", lambda: self.restarts)}

    def _read_load(self, quantity: str) -> float:
        value: float = getattr(self.client.load, quantity)
        return value

    async def close(self) -> None:
        await self.client.close()


async def start_embedded(
    settings: Settings, path: Path, model: CatalogModel, resources: AsyncExitStack, *, watchdog_seconds: float
) -> EmbeddedEngine:
    """Raises StartupError."""
    client = EngineClient(
        build_start_message(settings, path, model.context),
        environment=engine_environment(),
        max_waiting=settings.max_waiting,
        watchdog_seconds=watchdog_seconds,
    )
    # Closed after the engine: until then requests may read the vocabulary.
    vocabularies = resources.enter_context(ExitStack())
    resources.push_async_callback(client.close)
    # llama.cpp aborts on some files. The engine process loads the file first, so that an abort can't end this one.
    ready = await client.start()
    loaded = vocabularies.enter_context(Model(path, vocabulary_only=True, library=load_library(settings.libllama)))
    describes = settings.tool_prompt == "generic"
    tokenizer = Tokenizer(loaded.vocabulary, loaded.chat_template, describes_tools=describes)
    warn_without_template(tokenizer, model, path)
    source = GgufTokenizer(str(path), settings.libllama, describes)
    return EmbeddedEngine(client, ready, path, tokenizer, source, fingerprint(path, ready.kernels))


def warn_without_template(tokenizer: Tokenizer, model: CatalogModel, path: Path) -> None:
    if not tokenizer.has_template:
        log.warning(
            "the model has no chat template, so ChatML is used: it was probably not trained to chat; use an "
            "instruct model",
            model=model.name,
            file=str(path),
        )


def embedded_route(
    engine: EmbeddedEngine, model: CatalogModel, deployment: Deployment, jobs: Jobs, *, shares_with_all: bool
) -> EngineRoute:
    backend = LocalBackend(
        engine.client,
        engine.tokenizer,
        jobs,
        tokenizer_name=engine.source.path,
        window=ContextWindow(model.name, engine.ready.context),
        shares_with_all=shares_with_all,
    )
    return EngineRoute(
        deployment,
        backend,
        vocabulary_size=engine.tokenizer.vocabulary_size,
        writes_json=engine.writes_json,
        calls_tools=engine.calls_tools,
    )


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


def fingerprint(path: Path, kernels: str) -> str:
    """Identifies the model file and the compute kernels, on which seeded text depends."""
    with path.open("rb") as file:
        head = file.read(FINGERPRINT_BYTES)
    identity = f"{path.stat().st_size} {kernels}".encode()
    return f"fp_{hashlib.sha256(identity + head).hexdigest()[:16]}"
