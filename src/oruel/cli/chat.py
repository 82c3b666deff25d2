"""oruel chat: a conversation in the terminal with any chat completions server."""

import io
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oruel.cli.conversation import Conversation
from oruel.cli.options import with_options
from oruel.cli.request_options import DEFAULT_URL, ApiKey, BaseUrl, Model, System, parameter_options, parameters_from
from oruel.errors import OruelError

if TYPE_CHECKING:
    from oruel.cli.answer import AnswerScreen
    from oruel.cli.chat_client import ChatClient

INTERRUPTED_STATUS = 130


@with_options(parameter_options())
def chat(
    message: Annotated[
        str | None,
        typer.Argument(metavar="MESSAGE", show_default=False, help="Send this message, print the answer and exit."),
    ] = None,
    base_url: BaseUrl = DEFAULT_URL,
    api_key: ApiKey = None,
    model: Model = None,
    system: System = None,
    **options: Any,
) -> None:
    """Chat with a model on any chat completions server.

    Without MESSAGE, starts a conversation; type /help for its commands. With MESSAGE, or with piped input, sends one
    message and prints only the answer to stdout. Parameters are sent as given: the server validates them.
    """
    from oruel.cli.answer import AnswerScreen
    from oruel.cli.chat_client import ChatClient

    screen = AnswerScreen()
    with reporting_errors(screen):
        client = ChatClient(base_url, api_key)
        conversation = Conversation(model or client.first_model(), system, parameters_from(options))
        if message is None and sys.stdin.isatty():
            converse(client, conversation, screen)
        else:
            ask_once(client, conversation, read_stdin() if message is None else message, screen)


@contextmanager
def reporting_errors(screen: "AnswerScreen") -> Iterator[None]:
    """Shows an error in one line and exits. Characters that stdout can't encode are replaced."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        yield
    except OruelError as error:
        screen.error(error.message)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED_STATUS) from None


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
