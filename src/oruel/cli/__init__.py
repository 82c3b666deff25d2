"""The command line: serve, params, chat, catalog. What goes wrong is one line on stderr, never a traceback; a command
that can't begin exits with status 2.
"""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from oruel import __version__
from oruel.cli.catalog import catalog
from oruel.cli.chat import chat
from oruel.cli.params import params
from oruel.cli.serve import serve
from oruel.errors import OruelError

# Plain help can be searched and copied; pretty tracebacks would show local variables, keys among them.
app = typer.Typer(
    name="oruel",
    help="A chat completions endpoint that honours every inference parameter exactly, or refuses it by name.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command()(params)
app.command()(chat)
app.command()(catalog)


def show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"oruel {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits. `arguments` are those of the process unless given."""
    try:
        app(args=arguments)
    except OruelError as error:
        typer.echo(f"oruel: {error.message}", err=True)
        sys.exit(2)
