"""The options of the commands that send requests: the server, the model, and every parameter of the contract."""

import inspect
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from oruel.cli.conversation import SETTABLE, parse_value
from oruel.cli.options import given_options, option

DEFAULT_URL = "http://127.0.0.1:8000/v1"

BaseUrl = Annotated[str, typer.Option(metavar="URL", help="The base URL of the server.")]
ApiKey = Annotated[
    str | None,
    typer.Option(envvar="ORUEL_API_KEY", metavar="TEXT", show_default=False, help="The API key for the server."),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT", show_default=False, help="The model to use. [default: the first that the server lists]"
    ),
]
System = Annotated[
    str | None,
    typer.Option(metavar="TEXT", show_default=False, help="A system message that starts the conversation."),
]


def parameter_options(leave_out: Iterable[str] = ()) -> list[inspect.Parameter]:
    """An option for each parameter that requests of the command line may set."""
    return [
        option(name, parameter.kind, f"{parameter.summary} [{parameter.kind}]")
        for name, parameter in SETTABLE.items()
        if name not in leave_out
    ]


def parameters_from(options: dict[str, Any]) -> dict[str, Any]:
    """Converts option values to JSON types. Repeated options and flags already have theirs."""
    return {
        name: parse_value(name, value) if isinstance(value, str) else value
        for name, value in given_options(options).items()
    }
