"""oruel chat: a conversation in the terminal with any server that speaks the chat completions protocol."""

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

INTERRUPTED = 130


def parameter_option(parameter: Parameter) -> inspect.Parameter:
    return option(parameter.name, parameter.kind, f"{parameter.summary} [{parameter.kind}]")


@with_options([parameter_option(parameter) for parameter in SETTABLE.values()])
def chat(
    message: Annotated[
        str | None,
        typer.Argument(metavar="MESSAGE", show_default=False, help="Asks this once, prints the answer and leaves."),
    ] = None,
    base_url: Annotated[str, typer.Option(metavar="URL", help="Where the server is.")] = "http://127.0.0.1:8000/v1",
    api_key: Annotated[
        str | None, typer.Option(envvar="ORUEL_API_KEY", metavar="TEXT", show_default=False, help="The server's key.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", show_default=False, help="Which model. [default: the first that the server lists]"
        ),
    ] = None,
    system: Annotated[
        str | None, typer.Option(metavar="TEXT", show_default=False, help="A system message to begin with.")
    ] = None,
    **options: Any,
) -> None:
    """Chat with a model, on any server that speaks the chat completions protocol.

    Without MESSAGE it is a conversation; /help says what can be typed beside messages. Where a message is given, or
    piped in, it is asked once: the answer alone is on stdout. Parameters are sent as given, for the server to judge.
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
        raise typer.Exit(INTERRUPTED) from None


def parameters_from(options: dict[str, Any]) -> dict[str, Any]:
    """Repeated texts and booleans have their JSON type already."""
    return {
        name: parse_value(name, value) if isinstance(value, str) else value
        for name, value in given_options(options).items()
    }


def read_stdin() -> str:
    return sys.stdin.buffer.read().decode(errors="replace").removesuffix("\n")


def ask_once(client: "ChatClient", conversation: Conversation, message: str, screen: "AnswerScreen") -> None:
    """One answer. Ctrl-C stops it, and leaves with the status of an interrupted program."""
    if not show_answer(client, conversation, message, screen):
        raise typer.Exit(INTERRUPTED)


def converse(client: "ChatClient", conversation: Conversation, screen: "AnswerScreen") -> None:
    """Turn by turn, until /exit or Ctrl-D. What goes wrong costs one turn, and the message can be sent again."""
    import readline  # noqa: F401 - gives input() its editing and history

    screen.note(f"Chatting with {conversation.model}. /help says what else can be typed; Ctrl-D leaves.")
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
    """Raises EOFError where the conversation is over."""
    line = input("> ")
    if line.startswith("/"):
        screen.note(conversation.command(line))
    elif line.strip():
        show_answer(client, conversation, line, screen)


def show_answer(client: "ChatClient", conversation: Conversation, message: str, screen: "AnswerScreen") -> bool:
    """Shows an answer as it arrives and remembers what arrived. False where Ctrl-C stopped it. Raises OruelError."""
    from oruel.cli.answer import ChatAnswer

    arrived = ChatAnswer()
    started = time.monotonic()
    interrupted = False
    try:
        with client.answer(conversation.body(message)) as incoming:
            for remark in incoming.remarks:
                screen.note(remark)
            for chunk in incoming.chunks:
                arrived.add(chunk)
                screen.show(chunk)
    except KeyboardInterrupt:
        interrupted = True
    except OruelError:
        if arrived.texts:
            screen.text("\n")
        raise
    screen.finish(arrived)
    screen.note(arrived.summary(time.monotonic() - started, interrupted=interrupted))
    if arrived.texts[0]:
        conversation.remember(message, arrived.texts[0])
    return not interrupted
