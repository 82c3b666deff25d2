"""The command line: serve, params, chat, explain, catalog, verify, accounts, keys, usage. An error is one line on
stderr, never a traceback. A command that can't start exits with status 2.
"""

import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import typer

from oruel import __version__
from oruel.cli.accounts import accounts
from oruel.cli.catalog import catalog
from oruel.cli.chat import chat
from oruel.cli.explain import explain
from oruel.cli.keys import keys
from oruel.cli.params import params
from oruel.cli.serve import serve
from oruel.cli.standard_streams import flush_output, open_standard_streams
from oruel.cli.usage import usage
from oruel.cli.verify import verify
from oruel.errors import OruelError

# Plain help is easy to search and copy. Rich tracebacks would show local variables, which include keys.
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
app.command()(explain)
app.command()(catalog)
app.command()(verify)
app.add_typer(accounts)
app.add_typer(keys)
app.command()(usage)


def show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"oruel {__version__}")
        raise typer.Exit


@app.callback()
def root_options(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits. `arguments` default to those of the process."""
    open_standard_streams()
    try:
        status = run_command(arguments)
        flush_output()
    except BrokenPipeError:
        # The reader of the output closed it: not an error worth a message.
        status = 1
    except OSError as error:
        status = 1
        show_error(f"The output can't be written: {error.strerror or error}.")
    sys.exit(status)


def run_command(arguments: Sequence[str] | None) -> int:
    """Returns the exit status. Raises OSError if the output can't be written."""
    try:
        app(args=arguments)
    except OruelError as error:
        show_error(error.message)
        return 2
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return 0


def show_error(message: str) -> None:
    with suppress(OSError):
        typer.echo(f"oruel: {message}", err=True)
