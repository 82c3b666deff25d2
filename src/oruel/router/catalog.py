"""The models that this endpoint offers, and their names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from oruel.contract.kinds import abbreviate, nearest
from oruel.errors import ModelNotFound
from oruel.types import TIERS, Tier


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a request may use of a model. `name` is the model's name in answers; `aliases` are other names that requests
    may use. `context` and `vocabulary_size` are in tokens, None if only other servers know. `max_tokens` is the default
    of that parameter. `created` is in seconds since the epoch. `writes_json`: the vocabulary has a token for each byte
    that JSON needs. `calls_tools`: the model supports tools. `chat_template` is the model's own, or ChatML for a model
    without one; None if only other servers know.
    """

    name: str
    context: int | None
    vocabulary_size: int | None
    created: int
    aliases: tuple[str, ...] = ()
    tiers: tuple[Tier, ...] = TIERS
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
