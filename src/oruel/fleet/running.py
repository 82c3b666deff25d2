"""A model that the server serves, and the engines that run it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from oruel.jobs.messages import TokenizerSource
from oruel.router.catalog import ModelCard
from oruel.router.route import Route
from oruel.text.tokenizer import Tokenizer


class EngineGauge(NamedTuple):
    """A quantity of an engine for /metrics, as oruel_engine_ and its name."""

    summary: str
    read: Callable[[], float]


class RunningEngine(Protocol):
    """An engine that keeps the contract, embedded or a vLLM with our plugin.

    `context`: its window in tokens, None while it isn't known. `created`: when its model was made, in seconds since the
    epoch. `restarts`: how often its process was restarted. `detail`: what is wrong; empty if nothing is.
    """

    @property
    def tokenizer(self) -> Tokenizer: ...

    @property
    def source(self) -> TokenizerSource: ...

    @property
    def context(self) -> int | None: ...

    @property
    def created(self) -> int: ...

    @property
    def writes_json(self) -> bool: ...

    @property
    def calls_tools(self) -> bool: ...

    @property
    def status(self) -> Literal["starting", "ok", "failed"]: ...

    @property
    def restarts(self) -> int: ...

    @property
    def detail(self) -> str: ...

    @property
    def fingerprint(self) -> str:
        """The system_fingerprint of its answers: identifies everything on which seeded text depends."""

    @property
    def gauges(self) -> Mapping[str, EngineGauge]: ...

    async def close(self) -> None:
        """Fails the requests in progress."""


def smallest_window(engines: Iterable[RunningEngine]) -> int | None:
    """In tokens, of those that are known; None if none is."""
    return min((engine.context for engine in engines if engine.context is not None), default=None)


@dataclass(frozen=True, slots=True)
class RunningModel:
    card: ModelCard
    routes: Sequence[Route]
    engines: Mapping[str, RunningEngine] = field(default_factory=dict)

    @property
    def tokenizer(self) -> str | None:
        """The name by which jobs know the first engine's tokenizer; None if only upstream servers have the model."""
        return next((engine.source.path for engine in self.engines.values()), None)
