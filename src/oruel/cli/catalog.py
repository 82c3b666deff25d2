"""oruel catalog: shows a catalog file as tables, or reports its first error with the line."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oruel.cli.params import build_table
from oruel.config import read_secret
from oruel.errors import ConfigError
from oruel.router.catalog_file import MAX_BYTES, CatalogFile, read_catalog
from oruel.router.deployment import CatalogModel, Deployment, EmbeddedSource, UpstreamSource, VLLMSource
from oruel.router.price import Price
from oruel.router.upstream_key import upstream_key_fault

if TYPE_CHECKING:
    from rich.table import Table


def load_catalog(path: str) -> CatalogFile:
    """Raises ConfigError."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"The catalog {path} can't be read: {error.strerror}.") from error
    return read_catalog(data)


def catalog(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The catalog, a TOML file.")] = "catalog.toml",
) -> None:
    """Check a catalog and show its models, prices and deployments.

    If the file is invalid, prints one line that names the error and its place, and exits with status 2. Shows only
    whether keys are set: `oruel serve` reads them from its environment and refuses to start without them.
    """
    from rich.console import Console

    models = load_catalog(file).models
    console = Console(highlight=False, markup=False, emoji=False)
    for table in (models_table(models), prices_table(models), costs_table(models), sources_table(models)):
        console.print(table)


def models_table(models: Sequence[CatalogModel]) -> "Table":
    table = named_table("Models", "model", "aliases", "context", "max_tokens")
    for model in models:
        table.add_row(model.name, ", ".join(model.aliases), format_count(model.context), format_count(model.max_tokens))
    return table


def prices_table(models: Sequence[CatalogModel]) -> "Table":
    table = named_table("Prices per million tokens", "model", "tier", "input", "cached", "output")
    for model in models:
        for tier in model.tiers:
            price = model.prices.get(tier)
            table.add_row(model.name, tier, *(price_cells(price) if price else ("free", "free", "free")))
    return table


def costs_table(models: Sequence[CatalogModel]) -> "Table":
    title = "Costs per million tokens"
    table = named_table(title, "deployment", "model", "tiers", "input", "cached", "output")
    for model in models:
        for deployment in model.deployments:
            tiers = "\n".join(deployment.tiers)
            table.add_row(deployment.name, model.name, tiers, *price_cells(deployment.cost))
    return table


def sources_table(models: Sequence[CatalogModel]) -> "Table":
    table = named_table("Deployments", "deployment", "", "")
    for deployment in (deployment for model in models for deployment in model.deployments):
        details = describe_deployment(deployment)
        for index, (name, value) in enumerate(details):
            table.add_row("" if index else deployment.name, name, value, end_section=index == len(details) - 1)
    return table


def named_table(title: str, first: str, *others: str) -> "Table":
    """A table whose first column wraps too: names come from the file and may be long."""
    table = build_table(title, first, *others)
    table.columns[0].no_wrap, table.columns[0].overflow, table.columns[0].max_width = False, "fold", 32
    return table


def describe_deployment(deployment: Deployment) -> list[tuple[str, str]]:
    source = deployment.source
    if isinstance(source, EmbeddedSource):
        return [("engine", source.model)]
    timeouts = (deployment.connect_seconds, deployment.first_token_seconds, deployment.idle_seconds)
    if isinstance(source, VLLMSource):
        kind, accepted = ("engine", "vllm"), ("tokenizer", source.tokenizer)
    else:
        kind, accepted = ("kind", source.kind), ("accepts", ", ".join(sorted(deployment.accepts)) or "none")
    return [
        kind,
        ("base_url", source.base_url),
        ("model", source.model),
        ("key", describe_key(source)),
        accepted,
        ("timeouts", "{:g} s to connect, {:g} s for the first token, {:g} s for the next".format(*timeouts)),
    ]


def describe_key(source: UpstreamSource | VLLMSource) -> str:
    if source.key_variable is None:
        return "none"
    return f"{source.key_variable}, which {upstream_key_fault(read_secret(source.key_variable)) or 'is set'}"


def price_cells(price: Price) -> tuple[str, str, str]:
    return f"{price.input:f}", f"{price.cached_input:f}", f"{price.output:f}"


def format_count(tokens: int | None) -> str:
    return "" if tokens is None else str(tokens)
