"""Command-line options derived from declarations, so that no option is written down twice."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import typer

from oruel.contract.kinds import Array, Boolean, Integer, Kind, Number, String, StringEnum, StringOrArray

Command = TypeVar("Command", bound=Callable[..., None])


def option(name: str, kind: Kind, help: str) -> inspect.Parameter:
    """An option --name, None where it isn't given. Numbers stay text: who reads them says what is wrong with them."""
    spelt = name.replace("_", "-")
    flag = f"--{spelt}/--no-{spelt}" if isinstance(kind, Boolean) else f"--{spelt}"
    details = typer.Option(None, flag, help=help, metavar=metavar_of(kind), show_default=False)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=details, annotation=annotation_of(kind))


def annotation_of(kind: Kind) -> Any:
    match kind:
        case Boolean():
            return bool | None
        case Array(item=String()) | StringOrArray():
            return list[str] | None
        case _:
            return str | None


def metavar_of(kind: Kind) -> str | None:
    match kind:
        case Boolean():
            return None
        case Integer():
            return "INTEGER"
        case Number():
            return "NUMBER"
        case StringEnum():
            return "|".join(kind.values)
        case String() | Array(item=String()) | StringOrArray():
            return "TEXT"
        case _:
            return "JSON"


def with_options(options: Sequence[inspect.Parameter]) -> Callable[[Command], Command]:
    """The command's **keywords become these options."""

    def widen(command: Command) -> Command:
        signature = inspect.signature(command)
        own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        widened = signature.replace(parameters=[*own, *options])
        command.__signature__ = widened  # type: ignore[attr-defined]  # read by inspect.signature, and so by typer
        return command

    return widen


def given_options(options: dict[str, Any]) -> dict[str, Any]:
    """Those that were on the command line; a repeatable option that wasn't is an empty list."""
    return {name: value for name, value in options.items() if value is not None and value != []}
