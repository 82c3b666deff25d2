"""The Jinja environment that chat templates expect, sandboxed, since a template is someone else's program."""

import json
from collections.abc import Iterator, Sized
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from oruel.text.prompt.budget import budget
from oruel.text.prompt.metering import (
    CHEAP_TESTS,
    MAX_REPEATED,
    OWN_FILTERS,
    REMOVED,
    MeteringTransformer,
    charge_arguments,
    charge_result,
    concat_pieces,
    finalize,
    meter,
    require_bounded,
)

MAX_POWER_BITS = 1024
MAX_PRODUCT_BITS = 2**14


class GenerationTag(Extension):
    """`{% generation %}` marks the model's own text for training. Here its body is rendered unchanged."""

    tags = {"generation"}  # noqa: RUF012  (jinja2 declares it so)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class OpaqueNamespace(Namespace):
    """A namespace whose text doesn't show its content, which may contain the namespace itself."""

    def __repr__(self) -> str:
        return "<namespace>"


class Sandbox(ImmutableSandboxedEnvironment):
    """Lists may be appended to and popped from, as some templates do: their arguments are made anew for each rendering.
    Whatever may take long or grow is charged: templates are compiled and rendered inside `spending`.
    """

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, loopcontrols], finalize=finalize
        )
        self.globals |= {"raise_exception": raise_exception, "strftime_now": strftime_now, "namespace": OpaqueNamespace}
        del self.globals["lipsum"]
        self.filters |= {"tojson": tojson, "from_json": json.loads}
        self.filters = {n: meter(n, f) for n, f in self.filters.items() if n not in REMOVED} | OWN_FILTERS
        tests: Any = self.tests  # jinja2's plain functions
        self.tests |= {name: meter(name, test) for name, test in tests.items() if name not in CHEAP_TESTS}
        self.concat = concat_pieces  # type: ignore[method-assign]  # jinja2 calls it so

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        return super()._generate(MeteringTransformer().visit(source), *args, **kwargs)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, list) and attr in ("append", "pop"):
            return True
        return super().is_safe_attribute(obj, attr, value)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805  (as jinja2's)
        if isinstance(__obj, (Macro, LoopContext)):
            # Macros and loops of the template pay for their arguments.
            budget().step(1 + sum(len(given) for given in args if isinstance(given, Sized)))
            return super().call(__context, __obj, *args, **kwargs)
        # A text's format method is jinja2's own function, which wraps the method.
        method = getattr(__obj, "__wrapped__", __obj)
        name, owner = getattr(method, "__name__", type(method).__name__), getattr(method, "__self__", None)
        if isinstance(owner, (str, list, tuple, dict, int, float)):
            args = charge_arguments(name, (owner, *args), kwargs)[1:]
        else:
            args = charge_arguments(name, args, kwargs)
        return charge_result(super().call(__context, __obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**":
            check_power(left, right)
        elif operator == "*":
            check_repeated(left, right)
            check_repeated(right, left)
        elif isinstance(left, str):
            require_bounded("format", left, list(right) if isinstance(right, tuple) else [right])
        return charge_result(super().call_binop(context, operator, left, right))


def check_power(base: Any, exponent: Any) -> None:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * exponent > MAX_POWER_BITS:
        raise SecurityError(f"a power of more than {MAX_POWER_BITS} bits")


def check_repeated(sequence: Any, times: Any) -> None:
    if isinstance(times, int) and isinstance(sequence, int):
        require_bits(sequence.bit_length() + times.bit_length())
    elif isinstance(times, int) and isinstance(sequence, (str, list, tuple)):
        if len(sequence) * times > MAX_REPEATED:
            raise SecurityError(f"a sequence repeated to more than {MAX_REPEATED} items")
        budget().check(budget().weigh(sequence) * times)


def require_bits(bits: int) -> None:
    if bits > MAX_PRODUCT_BITS:
        raise SecurityError(f"a product of more than {MAX_PRODUCT_BITS} bits")


def raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


def strftime_now(pattern: str) -> str:
    return datetime.now().strftime(pattern)


def tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    """JSON as in the models' training data. jinja2's own filter sorts keys and writes `<` as an HTML escape."""
    options = {name: options[name] for name in ("separators", "sort_keys") if name in options}
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, default=json_default, **options)


def json_default(value: Any) -> list[Any]:
    """Filters such as map and select return generators, which json can't encode."""
    if isinstance(value, Iterator):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
