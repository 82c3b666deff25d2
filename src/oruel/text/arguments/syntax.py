"""How the arguments of a call are written: what each syntax of text/arguments implements."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from oruel.constraints.spec import WrittenArguments
from oruel.text.lark import Lark


@dataclass(frozen=True, slots=True)
class ArgumentGrammar:
    """`expression` matches the arguments of one function; `rules` are the grammar rules that it refers to. `written`:
    the arguments if they are one JSON document.
    """

    expression: str
    rules: str = ""
    written: WrittenArguments | None = None


class ArgumentReader(Protocol):
    """Translates the arguments of one call into JSON while the model writes them."""

    @property
    def is_complete(self) -> bool:
        """Whether the arguments have ended. The end of the call is still unread."""
        ...

    def take(self, text: str) -> tuple[int, str] | None:
        """Returns how many characters were read and the JSON they stand for; None if more text is needed.

        `text` begins where the previous call stopped reading.
        """
        ...


class ArgumentSyntax(Protocol):
    """One way to write arguments. To add one, subclass this in a file of its own. The defaults suit a syntax without
    special texts that enforces whatever JSON can enforce.
    """

    @property
    def texts(self) -> tuple[str, ...]:
        """The literal texts around keys and values, which may contain special tokens."""
        return ()

    @property
    def first(self) -> str:
        """The text before the first argument, if it is needed to see where the function's name ends; otherwise ""."""
        return ""

    def unenforced_keywords(self, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        """The schema keywords that the grammar ignores, without those that can't be enforced in JSON either.

        Raises SchemaRefused if no call that matches the schema can be written.
        """
        return ()

    def grammar(self, lark: Lark, schema: Mapping[str, Any], *, prefix: str, where: str) -> ArgumentGrammar:
        """`prefix` begins the name of each rule; `where` names the schema in error messages.

        Raises UnsupportedParameter if the syntax can't enforce the schema, SchemaRefused if nothing can.
        """
        ...

    def reader(self, parameters: Mapping[str, Any], follows: re.Pattern[str]) -> ArgumentReader:
        """A reader for one call. `parameters` is the function's schema; `follows` matches what comes after the
        arguments.
        """
        ...
