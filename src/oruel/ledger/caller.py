"""Who sent a request, as far as its API key says."""

from dataclasses import dataclass
from typing import Literal

from oruel.errors import PermissionDenied
from oruel.types import Tier

Scope = Literal["inference", "admin"]


@dataclass(frozen=True, slots=True)
class Caller:
    """`account` and `key` are ids in the store; "" without a key of the store. `cache_scope` separates the prefix
    caches of accounts; it reveals neither key nor account. `models` and `tiers` are what the key may use, None for
    all.
    """

    account: str = ""
    key: str = ""
    cache_scope: str = ""
    scopes: tuple[Scope, ...] = ("inference",)
    models: tuple[str, ...] | None = None
    tiers: tuple[Tier, ...] | None = None

    def require_scope(self, scope: Scope) -> None:
        """Raises PermissionDenied."""
        if scope not in self.scopes:
            raise PermissionDenied(f"The API key lacks the scope {scope}. Use a key that has it.")

    def may_use_model(self, name: str) -> bool:
        return self.models is None or name in self.models

    def require_model(self, name: str, tier: Tier | None = None) -> None:
        """`name` is the model's own name, no alias. Raises PermissionDenied."""
        if not self.may_use_model(name):
            raise PermissionDenied(
                f"The API key does not allow the model {name}, only {', '.join(self.models or ())}.", param="model"
            )
        if tier is not None and self.tiers is not None and tier not in self.tiers:
            raise PermissionDenied(
                f"The API key does not allow the tier {tier}, only {', '.join(self.tiers)}.", param="tier"
            )


ANONYMOUS = Caller()
