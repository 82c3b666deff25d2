"""oruel chat: a conversation in the terminal with any chat completions server."""

import inspect
import io
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oruel.cli.conversation import SETTABLE, Conversation, parse_value
from oruel.cli.options import given_options, option, with_options
from oruel.contract.parameters import Parameter
from oruel.errors import OruelError

if TYPE_CHECKING:
    from oruel.cli.answer import AnswerScreen
    from oruel.cli.chat_client import ChatClient

INTERRUPTED_STATUS = 130


def parameter_option(parameter: Parameter) -> inspect.Parameter:
    return option(parameter.name, parameter.kind, f"{parameter.summary} [{parameter.kind}]")


@with_options([parameter_option(parameter) for parameter in SETTABLE.values()])
def chat(
    message: Annotated[
        str | None,
        typer.Argument(metavar="MESSAGE", show_default=False, help="Send this message, print the answer and exit."),
    ] = None,
    base_url: Annotated[
        str, typer.Option(metavar="URL", help="The base URL of the server.")
    ] = "http://127.0.0.1:8000/v1",
    api_key: Annotated[
        str | None,
        typer.Option(envvar="ORUEL_API_KEY", metavar="TEXT", show_default=False, help="The API key for the server."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", show_default=False, help="The model to use. [default: the first that the server lists]"
        ),
    ] = None,
    system: Annotated[
        str | None,
        typer.Option(metavar="TEXT", show_default=False, help="A system message that starts the conversation."),
    ] = None,
    **options: Any,
) -> None:
    """Chat with a model on any chat completions server.

    Without MESSAGE, starts a conversation; type /help for its commands. With MESSAGE, or with piped input, sends one
    message and prints only the answer to stdout. Parameters are sent as given: the server validates them.
    """
    from oruel.cli.answer import AnswerScreen
    from oruel.cli.chat_client import ChatClient

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    screen = AnswerScreen()
    try:
        client = ChatClient(base_url, api_key)
        conversation = Conversation(model or client.first_model(), system, parameters_from(options))
        if message is None and sys.stdin.isatty():
            converse(client, conversation, screen)
        else:
            ask_once(client, conversation, read_stdin() if message is None else message, screen)
    except OruelError as error:
        screen.error(error.message)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED_STATUS) from None


def parameters_from(options: dict[str, Any]) -> dict[str, Any]:
    """Converts option values to JSON types. Repeated options and flags already have theirs."""
    return {
        name: parse_value(name, value) if isinstance(value, str) else value
        for name, value in given_options(options).items()
    }


def read_stdin() -> str:
    return sys.stdin.buffer.read().decode(errors="replace").removesuffix("\n")


def ask_once(client: "ChatClient", conversation: Conversation, message: str, screen: "AnswerScreen") -> None:
    """Shows one answer. Raises typer.Exit with the status of an interrupted program if Ctrl-C stopped it."""
    if not show_answer(client, conversation, message, screen):
        raise typer.Exit(INTERRUPTED_STATUS)


def converse(client: "ChatClient", conversation: Conversation, screen: "AnswerScreen") -> None:
    """Takes turns until /exit or Ctrl-D. An error ends only the turn: the message can be sent again."""
    import readline  # noqa: F401 - gives input() its editing and history

    screen.note(f"Chatting with {conversation.model}. Type /help for commands; Ctrl-D exits.")
    while True:
        try:
            take_turn(client, conversation, screen)
        except EOFError:
            return
        except KeyboardInterrupt:
            typer.echo()
        except OruelError as error:
            screen.error(error.message)


def take_turn(client: "ChatClient", conversation: Conversation, screen: "AnswerScreen") -> None:
    """Reads one line and acts on it. Raises EOFError at the end of the conversation."""
    line = input("> ")
    if line.startswith("/"):
        screen.note(conversation.command(line))
    elif line.strip():
        show_answer(client, conversation, line, screen)


def show_answer(client: "ChatClient", conversation: Conversation, message: str, screen: "AnswerScreen") -> bool:
    """Shows an answer as it arrives and adds it to the conversation. Returns False if Ctrl-C stopped it. Raises
    OruelError.
    """
    from oruel.cli.answer import ChatAnswer

    answer = ChatAnswer()
    started = time.monotonic()
    interrupted = False
    try:
        with client.answer(conversation.body(message)) as response:
            for remark in response.remarks:
                screen.note(remark)
            for chunk in response.chunks:
                answer.add(chunk)
                screen.show(chunk)
    except KeyboardInterrupt:
        interrupted = True
    except OruelError:
        if answer.texts:
            screen.text("\n")
        raise
    screen.finish(answer)
    screen.note(answer.summary(time.monotonic() - started, interrupted=interrupted))
    if answer.texts[0]:
        conversation.remember(message, answer.texts[0])
    return not interrupted
