"""oruel serve: settings, a model file, and the server that answers with it."""

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer

from oruel import config
from oruel.cli import banner, logs, model_source
from oruel.cli.catalog import load_catalog
from oruel.cli.options import given_options, option, with_options
from oruel.config import SETTINGS, Setting, Settings, read_secret
from oruel.router.deployment import CatalogModel, Deployment, EmbeddedSource


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
            help="A TOML file with any of these settings, each under its flag's name with _ for -. "
            f"[default: {config.CONFIG_FILE} if there is one; variable: {config.CONFIG_VARIABLE}]",
        ),
    ] = None,
    **flags: Any,
) -> None:
    """Serve a model over HTTP.

    Flags win over variables, variables over the TOML file, the file over the defaults.
    """
    settings = config.load_process_settings({**given_options(flags), "config": config_file})
    logs.configure(settings.log_format)
    models = catalog_models(settings.catalog) if settings.catalog else single_model(settings)
    sources = [one.source for model in models for one in model.deployments]
    files = {
        source.model: model_source.locate_model(source.model)
        for source in sources
        if isinstance(source, EmbeddedSource)
    }
    if not settings.catalog:
        models = [replace(models[0], name=files[settings.model].stem)]

    from oruel import app

    app.serve(settings, models, files, banner.print_banner)


def catalog_models(path: str) -> Sequence[CatalogModel]:
    """Raises ConfigError, also for keys that aren't set."""
    file = load_catalog(path)
    file.require_keys(read_secret)
    return file.models


def single_model(settings: Settings) -> Sequence[CatalogModel]:
    """The catalog of a server with one model, which bears its file's name."""
    engine = Deployment("engine", EmbeddedSource(settings.model))
    return [CatalogModel(settings.model, (engine,), settings.aliases)]
