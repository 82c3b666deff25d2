"""The models of the catalog, their prices, and the deployments that serve them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from oruel.router.price import Price
from oruel.types import TIERS, Tier, UpstreamKind


@dataclass(frozen=True, slots=True)
class EmbeddedSource:
    """An embedded engine process. `model` has the format of the setting with that name: demo, a file or hf:…."""

    model: str


@dataclass(frozen=True, slots=True)
class UpstreamSource:
    """An upstream server. `model` is the model's name there. `key_variable` is the environment variable of its key."""

    base_url: str
    kind: UpstreamKind
    model: str
    key_variable: str | None = None


@dataclass(frozen=True, slots=True)
class VLLMSource:
    """A vLLM with our plugin, used as an engine. `base_url` is its address, `model` the model's name there, `tokenizer`
    a folder with the model's tokenizer.json, or hf:…. `key_variable` is the environment variable of its key.
    """

    base_url: str
    model: str
    tokenizer: str
    key_variable: str | None = None


Source = EmbeddedSource | UpstreamSource | VLLMSource


@dataclass(frozen=True, slots=True)
class Deployment:
    """`cost` is what the operator pays. `accepts` names the parameters whose differences the operator accepts. The
    timeouts limit connecting, the wait for the first token, and the wait between two chunks.
    """

    name: str
    source: Source
    tiers: tuple[Tier, ...] = TIERS
    cost: Price = Price()  # noqa: RUF009 - immutable
    accepts: frozenset[str] = frozenset()
    connect_seconds: float = 5.0
    first_token_seconds: float = 60.0
    idle_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class CatalogModel:
    """`context` and `max_tokens` (the default of that parameter) are in tokens; None leaves them to the deployments."""

    name: str
    deployments: tuple[Deployment, ...]
    aliases: tuple[str, ...] = ()
    context: int | None = None
    max_tokens: int | None = None
    prices: Mapping[Tier, Price] = field(default_factory=dict)

    @property
    def tiers(self) -> tuple[Tier, ...]:
        """The tiers that at least one deployment serves."""
        return tuple(tier for tier in TIERS if any(tier in one.tiers for one in self.deployments))
