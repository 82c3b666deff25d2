"""oruel serve: reads the settings, finds the model files and runs the server."""

import inspect
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from oruel import config
from oruel.cli import banner, logs, model_source
from oruel.cli.catalog import load_catalog
from oruel.cli.options import given_options, option, with_options
from oruel.cli.tokenizer_source import locate_tokenizer
from oruel.config import read_secret
from oruel.router.deployment import CatalogModel, Deployment, EmbeddedSource, Source, VLLMSource
from oruel.settings import SETTINGS, Setting, Settings


def setting_option(setting: Setting) -> inspect.Parameter:
    described = f"{setting.summary} [default: {setting.shown_default}; variable: {setting.variable}]"
    return option(setting.name, setting.kind, described)


@with_options([setting_option(setting) for setting in SETTINGS.values()])
def serve(
    config_file: Annotated[
        str | None,
        typer.Option(
            "--config",
            metavar="FILE",
            show_default=False,
            help="A TOML file with any of these settings, whose keys are the flags' names with _ for -. "
            f"[default: {config.CONFIG_FILE} if it exists; variable: {config.CONFIG_VARIABLE}]",
        ),
    ] = None,
    **flags: Any,
) -> None:
    """Serve a model over HTTP.

    Flags override environment variables, variables override the TOML file, and the file overrides the defaults.
    """
    settings = config.load_process_settings({**given_options(flags), "config": config_file})
    logs.configure(settings.log_format)
    models = catalog_models(settings.catalog) if settings.catalog else single_model(settings)
    files = locate_files([one.source for model in models for one in model.deployments])
    if not settings.catalog:
        models = [replace(models[0], name=files[settings.model].stem)]

    from oruel import app

    app.serve(settings, models, files, banner.print_banner)


def locate_files(sources: Sequence[Source]) -> dict[str, Path]:
    """Where each model file and each tokenizer is that the sources name, downloaded if necessary. Raises
    ModelLoadError.
    """
    found: dict[str, Path] = {}
    for source in sources:
        if isinstance(source, EmbeddedSource):
            found[source.model] = model_source.locate_model(source.model)
        elif isinstance(source, VLLMSource):
            found[source.tokenizer] = locate_tokenizer(source.tokenizer)
    return found


def catalog_models(path: str) -> Sequence[CatalogModel]:
    """Raises ConfigError if the file is invalid or a key that it names isn't set."""
    file = load_catalog(path)
    file.require_keys(read_secret)
    return file.models


def single_model(settings: Settings) -> Sequence[CatalogModel]:
    """The catalog of a server with one model, named after its file."""
    engine = Deployment("engine", EmbeddedSource(settings.model))
    return [CatalogModel(settings.model, (engine,), settings.aliases)]
