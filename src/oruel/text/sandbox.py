"""The Jinja environment that chat templates expect, sandboxed: what a model file brings is a program of others."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_REPEATED = 2**20
MAX_POWER_BITS = 1024


class Generation(Extension):
    """`{% generation %}` marks what the model itself wrote, for training; here its body is rendered as it stands."""

    tags = {"generation"}  # noqa: RUF012  (jinja2 declares it so)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class Sandbox(ImmutableSandboxedEnvironment):
    """Repeating and raising to a power are bounded too, because both make much memory out of few characters. Lists may
    be appended to and popped from, which some templates do: what they are given is made for each rendering.
    """

    intercepted_binops = frozenset({"*", "**"})

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
        self.globals |= {"raise_exception": raise_exception, "strftime_now": strftime_now}
        self.filters |= {"tojson": tojson, "from_json": json.loads}

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, list) and attr in ("append", "pop"):
            return True
        return super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**":
            check_power(left, right)
        else:
            check_repeated(left, right)
            check_repeated(right, left)
        return super().call_binop(context, operator, left, right)


def check_power(base: Any, exponent: Any) -> None:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * exponent > MAX_POWER_BITS:
        raise SecurityError(f"a power of more than {MAX_POWER_BITS} bits")


def check_repeated(sequence: Any, times: Any) -> None:
    if isinstance(sequence, (str, list, tuple)) and isinstance(times, int) and len(sequence) * times > MAX_REPEATED:
        raise SecurityError(f"a sequence repeated to more than {MAX_REPEATED} items")


def raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


def strftime_now(pattern: str) -> str:
    return datetime.now().strftime(pattern)


def tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    """JSON as models were trained on it: jinja2's own filter sorts the keys and writes `<` as an HTML escape."""
    options = {name: options[name] for name in ("separators", "sort_keys") if name in options}
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, default=listed, **options)


def listed(value: Any) -> list[Any]:
    """Filters such as map and select give generators, which JSON doesn't know."""
    if isinstance(value, Iterator):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
