"""Which models this endpoint offers, under which names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from oruel.contract.kinds import abbreviate, nearest
from oruel.errors import ModelNotFound
from oruel.types import Tier


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a request may ask of a model. `name` is what answers call it; `aliases` are other names it goes by.

    `context` and `vocabulary_size` are in tokens, None where only other servers know; `max_tokens` is the default of
    that parameter; `created` is in seconds since the epoch. One that `writes_json` has a token for each byte that JSON
    needs; one that `calls_tools` supports tools. `chat_template` is the model's own, or ChatML for a model without
    one; None where only other servers know.
    """

    name: str
    context: int | None
    vocabulary_size: int | None
    created: int
    aliases: tuple[str, ...] = ()
    tiers: tuple[Tier, ...] = ("standard", "turbo")
    template_kwargs: tuple[str, ...] = ()
    writes_json: bool = True
    calls_tools: bool = True
    max_tokens: int | None = None
    chat_template: Literal["model", "chatml"] | None = None


class Catalog:
    def __init__(self, cards: tuple[ModelCard, ...]) -> None:
        self.cards = cards
        self._by_name: Mapping[str, ModelCard] = {
            name: card for card in reversed(cards) for name in (*card.aliases, card.name)
        }

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._by_name)

    def resolve(self, name: str) -> ModelCard:
        """Raises ModelNotFound."""
        card = self._by_name.get(name)
        if card is None:
            raise ModelNotFound(
                f'There is no model "{abbreviate(name)}" here.{nearest(name, self.names)} '
                f"GET /v1/models lists what there is: {', '.join(self.names[:8])}.",
                param="model",
            )
        return card
