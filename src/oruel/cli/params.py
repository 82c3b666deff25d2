"""oruel params: shows the declared parameters in the terminal."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from oruel.contract.kinds import abbreviate, nearest
from oruel.contract.parameters import PARAMETERS, USE_CASES, Parameter
from oruel.errors import UnknownParameter

if TYPE_CHECKING:
    from rich.table import Table


def params(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", show_default=False, help="Show the details of this parameter only.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the declarations as JSON.")] = False,
) -> None:
    """Show the request parameters, their ranges and defaults."""
    chosen = PARAMETERS if name is None else (find_parameter(name),)
    if as_json:
        declarations = [parameter.as_json() for parameter in chosen]
        typer.echo(json.dumps(declarations if name is None else declarations[0], indent=2))
    elif name is None:
        show_all()
    else:
        show_one(chosen[0])


def find_parameter(name: str) -> Parameter:
    """Finds a parameter by its name, or by the name of its option (top-p). Raises UnknownParameter."""
    by_name = {parameter.name: parameter for parameter in PARAMETERS}
    parameter = by_name.get(name.strip("-").replace("-", "_"))
    if parameter is None:
        raise UnknownParameter(
            f'Unknown parameter "{abbreviate(name)}".{nearest(name, tuple(by_name))} Run `oruel params` for the list.',
            param=name,
        )
    return parameter


def format_default(parameter: Parameter) -> str:
    return "not set" if parameter.default is None else json.dumps(parameter.default)


def show_all() -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    for group in dict.fromkeys(parameter.group for parameter in PARAMETERS):
        console.print(group_table(group))
    console.print(use_case_table())
    console.print("Run `oruel params NAME` for the details of one parameter.")


def group_table(group: str) -> "Table":
    table = build_table(group, "name", "allowed", "default", "description")
    for parameter in PARAMETERS:
        if parameter.group == group:
            served = "" if parameter.served else "Refused in this version. "
            table.add_row(
                parameter.name, str(parameter.kind), format_default(parameter), f"{served}{parameter.summary}"
            )
    return table


def use_case_table() -> "Table":
    table = build_table("Settings by use case", "use case", "temperature", "top_p", "max_tokens", "other")
    for case in USE_CASES:
        table.add_row(case.name, case.temperature, case.top_p, case.max_tokens, case.other)
    return table


def build_table(title: str, first: str, *others: str) -> "Table":
    """Builds a table whose cells wrap, so that a narrow terminal or a pipe truncates nothing."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, no_wrap=True, style="bold")
    for other in others:
        table.add_column(other, overflow="fold")
    return table


def show_one(parameter: Parameter) -> None:
    from rich.console import Console
    from rich.padding import Padding

    console = Console(highlight=False, markup=False, emoji=False)
    console.print(f"{parameter.name}  ({parameter.group})", style="bold")
    console.print(Padding(parameter.summary, (0, 0, 1, 2)))
    note = f" ({parameter.default_note})" if parameter.default_note else ""
    console.print(Padding(f"allowed: {parameter.kind}", (0, 0, 0, 2)))
    console.print(Padding(f"default: {format_default(parameter)}{note}", (0, 0, 0, 2)))
    if not parameter.served:
        console.print(Padding("Other values are refused in this version.", (0, 0, 0, 2)))
    for detail in parameter.details:
        console.print(Padding(f"- {detail}", (0, 0, 0, 2)))
