"""The models that this endpoint offers, and their names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from oruel.contract.kinds import abbreviate, nearest
from oruel.errors import ModelNotFound
from oruel.types import TIERS, Tier


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What requests need to know of a model. Answers carry `name`, even to requests that used one of the `aliases`.
    `context` and `vocabulary_size` are in tokens. `created` is in seconds since the epoch. `max_tokens` is the default
    of that parameter. `writes_json`: the vocabulary can spell JSON byte by byte. `calls_tools`: the model supports
    tools. `chat_template`: "model" for the model's own, "chatml" for a model without one. `context`, `vocabulary_size`
    and `chat_template` are None if only upstream servers have the model, which don't report them.
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
                f'The model "{abbreviate(name)}" does not exist.{nearest(name, self.names)} '
                f"GET /v1/models lists the available models: {', '.join(self.names[:8])}.",
                param="model",
            )
        return card
