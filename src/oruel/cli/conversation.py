"""A conversation: its turns so far, the parameters of the next request, and the commands that change them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from oruel.contract.kinds import Array, Kind, String, StringEnum, StringOrArray
from oruel.contract.parameters import PARAMETERS, Parameter

# The chat always streams, and shows no trace: `oruel explain` does.
RESERVED = ("stream", "stream_options", "trace", "messages")
SETTABLE: Mapping[str, Parameter] = {one.name: one for one in PARAMETERS if one.served and one.name not in RESERVED}

HELP = """\
/set NAME VALUE   send a parameter with every message; without VALUE, stop sending it
/params           list the parameters and their values
/reset            clear the conversation, but keep the parameters
/exit             exit, like Ctrl-D; Ctrl-C stops an answer"""


@dataclass
class Conversation:
    model: str
    system: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    turns: list[dict[str, str]] = field(default_factory=list)

    def body(self, message: str) -> dict[str, Any]:
        """The body of the request for an answer to `message`."""
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
        """Runs a command, a line that begins with /, and returns the text to show. Raises EOFError for /exit."""
        name, _, rest = line.strip().partition(" ")
        match name:
            case "/exit" | "/quit":
                raise EOFError
            case "/reset":
                self.turns.clear()
                return "The conversation is cleared."
            case "/params":
                return self.list_parameters()
            case "/set":
                return self.set(*rest.split(maxsplit=1))
            case "/help":
                return HELP
            case _:
                return f"Unknown command {name}.\n{HELP}"

    def set(self, name: str = "", text: str | None = None) -> str:
        name = name.replace("-", "_")
        if not name or name in RESERVED:
            return f"/set can't change {name}." if name else HELP
        if name == "model":
            self.model = text or self.model
            return f"model is {self.model}"
        if text is None:
            self.parameters.pop(name, None)
            return f"{name} is no longer sent"
        self.parameters[name] = parse_value(name, text)
        return f"{name} is {json.dumps(self.parameters[name])}"

    def list_parameters(self) -> str:
        extra = [name for name in self.parameters if name not in SETTABLE]
        names = [*SETTABLE, *extra]
        width = max(map(len, names))
        values = {name: json.dumps(self.parameters[name]) if name in self.parameters else "-" for name in names}
        allowed = {name: f"[{SETTABLE[name].kind}]" if name in SETTABLE else "" for name in names}
        return "\n".join(f"{name:{width}}  {values[name]:8}  {allowed[name]}".rstrip() for name in names)


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def parse_value(name: str, text: str) -> Any:
    """Converts text to the JSON type of the declared parameter. Text that has another type stays a string, for the
    server to refuse. The value of an undeclared parameter is JSON if it parses as JSON, else a string.
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
