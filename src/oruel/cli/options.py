"""Derives command-line options from declarations, so that no option is declared twice."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import typer

from oruel.contract.kinds import Array, Boolean, Integer, Kind, Number, String, StringEnum, StringOrArray
from oruel.ledger.amount import Amount
from oruel.ledger.moments import Moment
from oruel.settings import Hidden, Secret

Command = TypeVar("Command", bound=Callable[..., None])


def option(name: str, kind: Kind, help: str) -> inspect.Parameter:
    """An option --name that is None unless given. Numbers stay strings: the code that parses them reports errors."""
    flag_name = name.replace("_", "-")
    flag = f"--{flag_name}/--no-{flag_name}" if isinstance(kind, Boolean) else f"--{flag_name}"
    details = typer.Option(None, flag, help=help, metavar=metavar_of(kind), show_default=False)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=details, annotation=annotation_of(kind))


def annotation_of(kind: Kind) -> Any:
    match kind:
        case Boolean():
            return bool | None
        case Array(item=String() | StringEnum()) | StringOrArray():
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
        case Array(item=StringEnum() as one):
            return metavar_of(one)
        case String() | Secret() | Hidden() | Array(item=String()) | StringOrArray():
            return "TEXT"
        case Amount():
            return "USD"
        case Moment():
            return "TIME"
        case _:
            return "JSON"


def with_options(options: Sequence[inspect.Parameter]) -> Callable[[Command], Command]:
    """Replaces the **keywords of a command by these options."""

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command)
        own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        extended = signature.replace(parameters=[*own, *options])
        command.__signature__ = extended  # type: ignore[attr-defined]  # read by inspect.signature, and so by typer
        return command

    return decorate


def given_options(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were on the command line. An absent repeatable option is an empty list."""
    return {name: value for name, value in options.items() if value is not None and value != []}
