"""A conversation: the turns so far and the parameters of the next one, with the commands that change them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from oruel.contract.kinds import Array, Kind, String, StringEnum, StringOrArray
from oruel.contract.parameters import PARAMETERS, Parameter

# How the answer travels is the chat's own affair.
OWN = ("stream", "stream_options")
RESERVED = (*OWN, "messages")
SETTABLE: Mapping[str, Parameter] = {one.name: one for one in PARAMETERS if one.served and one.name not in OWN}

HELP = """\
/set NAME VALUE   sends a parameter with every message; without VALUE it is left out again
/params           lists the parameters and their values
/reset            forgets the conversation, not the parameters
/exit             leaves, as Ctrl-D does; Ctrl-C stops an answer"""


@dataclass
class Conversation:
    model: str
    system: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    turns: list[dict[str, str]] = field(default_factory=list)

    def body(self, message: str) -> dict[str, Any]:
        """The request that asks for an answer to `message`."""
        system = [] if self.system is None else [turn("system", self.system)]
        return {
            "model": self.model,
            "messages": [*system, *self.turns, turn("user", message)],
            "stream": True,
            "stream_options": {"include_usage": True},
            **self.parameters,
        }

    def remember(self, message: str, answer: str) -> None:
        self.turns += [turn("user", message), turn("assistant", answer)]

    def command(self, line: str) -> str:
        """Does what a line that begins with / says, and returns what to show. Raises EOFError for /exit."""
        name, _, rest = line.strip().partition(" ")
        match name:
            case "/exit" | "/quit":
                raise EOFError
            case "/reset":
                self.turns.clear()
                return "The conversation begins anew."
            case "/params":
                return self.parameters_in_words()
            case "/set":
                return self.set(*rest.split(maxsplit=1))
            case "/help":
                return HELP
            case _:
                return f"There is no command {name}.\n{HELP}"

    def set(self, name: str = "", text: str | None = None) -> str:
        name = name.replace("-", "_")
        if not name or name in RESERVED:
            return f"/set can't change {name}." if name else HELP
        if name == "model":
            self.model = text or self.model
            return f"model is {self.model}"
        if text is None:
            self.parameters.pop(name, None)
            return f"{name} is left to the server"
        self.parameters[name] = parse_value(name, text)
        return f"{name} is {json.dumps(self.parameters[name])}"

    def parameters_in_words(self) -> str:
        extra = [name for name in self.parameters if name not in SETTABLE]
        names = [*SETTABLE, *extra]
        width = max(map(len, names))
        values = {name: json.dumps(self.parameters[name]) if name in self.parameters else "-" for name in names}
        allowed = {name: f"[{SETTABLE[name].kind}]" if name in SETTABLE else "" for name in names}
        return "\n".join(f"{name:{width}}  {values[name]:8}  {allowed[name]}".rstrip() for name in names)


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def parse_value(name: str, text: str) -> Any:
    """Text in the JSON type that the declaration wants. What can't be that type is sent as the text that it is, for
    the server to refuse; so is what nobody declared, where it isn't JSON.
    """
    return convert_value(SETTABLE[name].kind, text) if name in SETTABLE else json_or_text(text)


def convert_value(kind: Kind, text: str) -> Any:
    match kind:
        case String() | StringEnum():
            return text
        case StringOrArray() | Array():
            value = json_or_text(text)
            return value if isinstance(value, (str, list)) else text
        case _:
            return json_or_text(text)


def json_or_text(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        return text


def refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
