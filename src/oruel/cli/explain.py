"""oruel explain: how each token of an answer was chosen, in the terminal."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from oruel.cli.chat import ask_once, read_stdin, reporting_errors
from oruel.cli.conversation import Conversation
from oruel.cli.options import with_options
from oruel.cli.request_options import (
    DEFAULT_URL,
    ApiKey,
    BaseUrl,
    Model,
    System,
    parameter_options,
    parameters_from,
)
from oruel.errors import ChatFailed

if TYPE_CHECKING:
    from oruel.cli.explain_screen import ExplainScreen

# One answer is explained, and its trace has more than log-probabilities do.
NOT_EXPLAINED = ("n", "logprobs", "top_logprobs")


@with_options(parameter_options(NOT_EXPLAINED))
def explain(
    prompt: Annotated[
        str | None,
        typer.Argument(metavar="PROMPT", show_default=False, help="The prompt. [default: read from standard input]"),
    ] = None,
    base_url: BaseUrl = DEFAULT_URL,
    api_key: ApiKey = None,
    model: Model = None,
    system: System = None,
    top: Annotated[int, typer.Option(metavar="INTEGER", help="How many candidates to show for each token.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print the trace as JSON, without tables and text.")] = False,
    **options: Any,
) -> None:
    """Show how each token of an answer was chosen.

    Prints a table per token: the leading candidates, their logits, and their probabilities in the model's distribution
    and after each step; then the draw that selected the token. The answer's text comes last. Needs an Oru'el server
    whose own engine runs the model.
    """
    from oruel.cli.chat_client import ChatClient

    screen = explain_screen(as_json=as_json)
    with reporting_errors(screen):
        client = ChatClient(base_url, api_key)
        parameters = {**parameters_from(options), "trace": {"top": top}}
        conversation = Conversation(model or client.first_model(), system, parameters)
        ask_once(client, conversation, read_stdin() if prompt is None else prompt, screen)
        if not screen.traced:
            raise ChatFailed(f"{base_url} sent no trace. Only Oru'el's own engine provides traces.")


def explain_screen(*, as_json: bool) -> "ExplainScreen":
    from oruel.cli.explain_screen import JsonScreen, TableScreen

    return JsonScreen() if as_json else TableScreen()
