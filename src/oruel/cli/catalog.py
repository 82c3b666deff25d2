"""oruel catalog: the operator's file as a table, or what is wrong with it and where."""

from pathlib import Path
from typing import Annotated

import typer

from oruel.cli.params import table_of
from oruel.errors import ConfigError
from oruel.router.catalog_file import read_catalog
from oruel.router.deployment import CatalogModel, Deployment, Embedded
from oruel.router.price import Price


def load(path: str) -> tuple[CatalogModel, ...]:
    """Raises ConfigError."""
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The catalog {path} can't be read: {error}.") from error
    return read_catalog(text)


def catalog(file: Annotated[str, typer.Argument(help="The catalog, a TOML file.")] = "catalog.toml") -> None:
    """Check a catalog and show its models, prices and deployments. Money is per million tokens."""
    from rich.console import Console

    models = load(file)
    console = Console(highlight=False, markup=False, emoji=False)
    prices = table_of("Prices", "model", "tier", "input", "cached input", "output")
    deployments = table_of("Deployments", "name", "model", "where", "tiers", "cost", "accepts")
    for model in models:
        for tier in model.tiers:
            prices.add_row(", ".join((model.name, *model.aliases)), tier, *amounts(model.prices.get(tier, Price())))
        for one in model.deployments:
            cost = " / ".join(amounts(one.cost))
            deployments.add_row(
                one.name, model.name, where(one), ", ".join(one.tiers), cost, ", ".join(sorted(one.accepts))
            )
    console.print(prices)
    console.print(deployments)


def amounts(price: Price) -> tuple[str, str, str]:
    return f"{price.input:f}", f"{price.cached_input:f}", f"{price.output:f}"


def where(deployment: Deployment) -> str:
    source = deployment.source
    return (
        f"engine, {source.model}"
        if isinstance(source, Embedded)
        else f"{source.kind} at {source.base_url}, {source.model}"
    )
