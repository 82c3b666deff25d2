"""Starts the catalog's deployments: an engine process for each embedded model, a handshake with each vLLM that serves
as an engine, and a backend for each upstream server.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from oruel.errors import StartupError, UpstreamFailed
from oruel.fleet.embedded import embedded_route, start_embedded
from oruel.fleet.model_card import build_card
from oruel.fleet.running import RunningEngine, RunningModel
from oruel.fleet.tokenizer_folders import TokenizerFolders
from oruel.fleet.upstream import build_upstream
from oruel.fleet.vllm import probe_until_closed, start_vllm, vllm_route
from oruel.http.exchange import upstream_client
from oruel.jobs.base import Jobs
from oruel.router.deployment import CatalogModel, Deployment, EmbeddedSource, UpstreamSource, VLLMSource
from oruel.router.route import Route
from oruel.settings import Settings

T = TypeVar("T")

Started = tuple[Route, RunningEngine | None]


class Fleet:
    """Starts deployments. `files` maps what the catalog names to where it is: each embedded model to its file, each
    tokenizer to its folder. Closing `resources` stops everything that was started; an engine is restarted after
    `watchdog_seconds` without a message.
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
        self._folders = TokenizerFolders(describes_tools=settings.tool_prompt == "generic")
        self._client = upstream_client()
        resources.push_async_callback(self._client.close)

    async def start(self, model: CatalogModel) -> RunningModel:
        """Raises StartupError, also if none of the model's deployments can be used now."""
        started = await run_concurrently([self._start_deployment(model, one) for one in model.deployments])
        routes = [route for route, _ in started]
        require_one(model, routes)
        engines = {route.deployment.name: engine for route, engine in started if engine}
        return RunningModel(
            card=build_card(model, list(engines.values()), self._settings.template_kwargs),
            routes=routes,
            engines=engines,
        )

    async def _start_deployment(self, model: CatalogModel, deployment: Deployment) -> Started:
        try:
            match deployment.source:
                case UpstreamSource() as source:
                    return Route(deployment, build_upstream(self._client, model, deployment, source)), None
                case EmbeddedSource() as source:
                    return await self._start_embedded(model, deployment, source)
                case VLLMSource() as source:
                    return await self._start_vllm(model, deployment, source)
        except StartupError as error:
            if not self._settings.catalog:
                raise
            raise unable(model, deployment, error.message) from error

    async def _start_embedded(self, model: CatalogModel, deployment: Deployment, source: EmbeddedSource) -> Started:
        path = self._files[source.model]
        engine = await start_embedded(
            self._settings, path, model, self._resources, watchdog_seconds=self._watchdog_seconds
        )
        return embedded_route(engine, model, deployment, self._jobs, shares_with_all=self._shares_with_all), engine

    async def _start_vllm(self, model: CatalogModel, deployment: Deployment, source: VLLMSource) -> Started:
        folder = self._folders.load(self._files[source.tokenizer])
        engine = await start_vllm(
            self._client, folder, model, deployment, self._resources, max_waiting=self._settings.max_waiting
        )
        route = vllm_route(engine, model, deployment, self._jobs, shares_with_all=self._shares_with_all)
        probe_until_closed(engine, route, self._resources)
        return route, engine

    @property
    def _shares_with_all(self) -> bool:
        return self._settings.share_prefixes == "all"


def require_one(model: CatalogModel, routes: Sequence[Route]) -> None:
    """Raises StartupError if every deployment of the model has a problem."""
    problems = [route.problem for route in routes]
    first = problems[0]
    if first and all(problems):
        detail = f" ({first.detail})" if isinstance(first, UpstreamFailed) and first.detail else ""
        raise unable(model, routes[0].deployment, f"{first.message}{detail}")


def unable(model: CatalogModel, deployment: Deployment, reason: str) -> StartupError:
    place = f" at {deployment.source.base_url}" if isinstance(deployment.source, VLLMSource) else ""
    return StartupError(f"{deployment.name} of {model.name}{place} can't start: {reason}")


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
