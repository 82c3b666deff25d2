"""A vLLM with our plugin as an engine of the catalog: its handshake, its tokenizer and its route."""

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Literal

import aiohttp

from oruel.backends.base import Backend
from oruel.backends.key_redaction import KeyRedaction
from oruel.backends.local import LocalBackend
from oruel.backends.preparation import ContextWindow
from oruel.backends.vllm import VLLMBackend
from oruel.engine.vllm.engine import VLLMEngine
from oruel.engine.vllm.probing import keep_probing
from oruel.engine.vllm.token_server import TokenServer
from oruel.errors import OruelError
from oruel.fleet.embedded import warn_without_template
from oruel.fleet.running import EngineGauge
from oruel.fleet.tokenizer_folders import TokenizerFolder
from oruel.fleet.upstream import read_deployment_key, timeouts_of
from oruel.jobs.base import Jobs
from oruel.jobs.messages import HuggingFaceTokenizer
from oruel.router.deployment import CatalogModel, Deployment, VLLMSource
from oruel.router.vllm_route import VLLMRoute
from oruel.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class RunningVLLM:
    """See RunningEngine. `name` is the deployment's, `window` the context that the catalog gives the model."""

    name: str
    client: VLLMEngine
    folder: TokenizerFolder
    window: int | None
    key: str | None = field(repr=False)

    @property
    def tokenizer(self) -> Tokenizer:
        return self.folder.tokenizer

    @property
    def source(self) -> HuggingFaceTokenizer:
        return self.folder.source

    @property
    def context(self) -> int | None:
        """Before vLLM was reached, what the model was trained for."""
        hello = self.client.hello
        return self.window or (hello.usable_window if hello else self.folder.context)

    @property
    def created(self) -> int:
        return self.folder.created

    @property
    def writes_json(self) -> bool:
        return self.folder.writes_json

    @property
    def calls_tools(self) -> bool:
        return self.folder.writes_json and self.folder.tokenizer.has_tools

    @property
    def status(self) -> Literal["ok", "failed"]:
        return "failed" if self.client.problem else "ok"

    @property
    def restarts(self) -> int:
        """Oru'el doesn't restart vLLM."""
        return 0

    @property
    def detail(self) -> str:
        return f"{self.name}: {self.client.problem.message}" if self.client.problem else ""

    @property
    def fingerprint(self) -> str:
        """Names vLLM's version, the plugin's, and whether batches are invariant. A hash identifies the model, which
        may have a private name, the chat template, and how vLLM computes.
        """
        hello = self.client.hello
        identity = f"{hello.fingerprint if hello else ''} {self.folder.template}".encode()
        hashed = hashlib.sha256(identity).hexdigest()[:16]
        if hello is None:
            return f"fp_{hashed}"
        batches = "invariant" if hello.batch_invariant else "variant"
        return f"fp_{hashed}_vllm-{hello.vllm}_plugin-{hello.plugin}_batch-{batches}"

    @property
    def gauges(self) -> Mapping[str, EngineGauge]:
        return {
            "running": EngineGauge("Sequences in progress.", lambda: self.client.running),
            "waiting": EngineGauge("Sequences in the queue.", lambda: self.client.waiting),
        }

    async def close(self) -> None:
        await self.client.close()


async def start_vllm(
    session: aiohttp.ClientSession,
    folder: TokenizerFolder,
    model: CatalogModel,
    deployment: Deployment,
    resources: AsyncExitStack,
    *,
    max_waiting: int,
) -> RunningVLLM:
    """The vLLM's `problem` says whether it can be used now. Raises ConfigError."""
    source = deployment.source
    assert isinstance(source, VLLMSource)
    key = read_deployment_key(deployment.name, source.key_variable)
    engine = VLLMEngine(
        TokenServer(session, source.base_url, key, timeouts_of(deployment)),
        folder.vocabulary,
        model=source.model,
        window=model.context,
        max_waiting=max_waiting,
        has_tiers=len(deployment.tiers) > 1,
    )
    resources.push_async_callback(engine.close)
    warn_without_template(folder.tokenizer, model, folder.path)
    with suppress(OruelError):
        await engine.start()
    return RunningVLLM(deployment.name, engine, folder, model.context, key)


def probe_until_closed(engine: RunningVLLM, route: VLLMRoute, resources: AsyncExitStack) -> None:
    """Its failures no longer count once vLLM has introduced itself again."""
    probing = asyncio.create_task(keep_probing(engine.client, route.breaker.reset), name=f"probing of {engine.name}")
    resources.callback(probing.cancel)


def vllm_route(
    engine: RunningVLLM, model: CatalogModel, deployment: Deployment, jobs: Jobs, *, shares_with_all: bool
) -> VLLMRoute:
    def build(window: int) -> Backend:
        return LocalBackend(
            engine.client,
            engine.tokenizer,
            jobs,
            tokenizer_name=engine.source.path,
            window=ContextWindow(model.name, engine.window or window),
            shares_with_all=shares_with_all,
        )

    backend: Backend = VLLMBackend(engine.client, build)
    return VLLMRoute(
        deployment,
        KeyRedaction(backend, engine.key) if engine.key else backend,
        vocabulary_size=engine.tokenizer.vocabulary_size,
        writes_json=engine.writes_json,
        calls_tools=engine.calls_tools,
        engine=engine.client,
    )
