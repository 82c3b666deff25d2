"""The card of a model, from its catalog entry and its running engines."""

from collections.abc import Sequence
from typing import Literal

from oruel.fleet.running import RunningEngine, smallest_window
from oruel.router.catalog import ModelCard
from oruel.router.deployment import CatalogModel


def build_card(model: CatalogModel, engines: Sequence[RunningEngine], template_kwargs: tuple[str, ...]) -> ModelCard:
    """Describes the model: what at least one of its deployments supports. Each route knows what its deployment lacks.
    Of upstream servers, only what the catalog says is known.
    """
    has_upstreams = len(engines) < len(model.deployments)
    return ModelCard(
        name=model.name,
        context=model.context or smallest_window(engines),
        vocabulary_size=max((engine.tokenizer.vocabulary_size for engine in engines), default=None),
        created=max((engine.created for engine in engines), default=0),
        aliases=model.aliases,
        tiers=model.tiers,
        template_kwargs=template_kwargs,
        writes_json=has_upstreams or any(engine.writes_json for engine in engines),
        calls_tools=has_upstreams or any(engine.calls_tools for engine in engines),
        max_tokens=model.max_tokens,
        chat_template=template_source(engines),
    )


def template_source(engines: Sequence[RunningEngine]) -> Literal["model", "chatml"] | None:
    if not engines:
        return None
    return "model" if all(engine.tokenizer.has_template for engine in engines) else "chatml"
