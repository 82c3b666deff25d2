"""Charges a template's budget for whatever may take long or grow: at compile time by wrapping nodes of its syntax tree,
at run time by wrapping the functions that it calls.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from itertools import islice
from typing import Any, TypeVar, cast

from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.utils import pass_context
from jinja2.visitor import NodeTransformer

from oruel.text.prompt.budget import ITEM, ITERATED, budget

# The largest result of a repetition, as in "=" * 40, and the largest count or width, as in center(40).
MAX_REPEATED, MAX_COUNT = 2**20, 2**16

# Functions and tests that look at a value without iterating over it.
CHEAP = frozenset({"count", "default", "d", "first", "last", "length"})
CHEAP_TESTS = frozenset(
    {"boolean", "callable", "defined", "divisibleby", "even", "false", "filter", "float", "integer", "iterable"}
    | {"mapping", "none", "number", "odd", "sameas", "sequence", "string", "test", "true", "undefined"}
)
# Filters that iterate over items without looking inside them.
SHALLOW = frozenset({"attr", "items", "list", "map", "reject", "rejectattr", "reverse", "select", "selectattr"})
# Functions whose result is no longer than their arguments. All others, including those of later Jinja versions, are
# assumed to build a text or list as long as their value times the longest, or largest, argument.
LINEAR = frozenset(
    {"abs", "capitalize", "dictsort", "e", "escape", "float", "forceescape", "from_json", "groupby", "int", "lower"}
    | {"max", "min", "safe", "sort", "string", "striptags", "sum", "title", "trim", "truncate", "unique", "upper"}
    | {"urlencode", "wordcount", "raise_exception", "strftime_now", "namespace", "OpaqueNamespace", "Named", "dict"}
    | {"range", "safe_range", "cycler", "Cycler", "joiner", "Joiner", "next", "reset", "append", "pop", "keys"}
    | {"values", "get", "split", "rsplit", "splitlines", "strip", "lstrip", "rstrip", "startswith", "endswith", "find"}
    | {"rfind", "index", "rindex", "copy", "casefold", "swapcase", "partition", "rpartition", "removeprefix"}
    | {
        "removesuffix",
        "isalnum",
        "isalpha",
        "isascii",
        "isdecimal",
        "isdigit",
        "isidentifier",
        "islower",
        "isnumeric",
        "isprintable",
    }
    | {"isspace", "istitle", "isupper", "bit_length", "is_integer", "cycle", "changed", "call"}
)
# Removed: filters that loop over each character in Python, those for web pages and debugging, and random draws.
REMOVED = frozenset({"pprint", "random", "urlize", "wordwrap", "xmlattr"})

# A width of five digits, or one given as an argument.
WIDE = re.compile(r"%(?:\([^)]*\))?[^a-zA-Z%]*(?:\*|\d{5})|\{[^{}]*:[^{}]*(?:\{|\d{5})")

F = TypeVar("F", bound=Callable[..., Any])


class MeteringTransformer(NodeTransformer):
    """Wraps loops, sums of two texts, lists of several values, and comparisons of two values. A constant makes no text
    longer than the template.
    """

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802  (jinja2's naming)
        cost = sum(1 for _ in node.find_all(nodes.Node))
        self.generic_visit(node)
        node.iter = wrap_filter("_loop", cast(nodes.Expr, node.iter), nodes.Const(cost))
        return node

    def visit_Add(self, node: nodes.Add) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return wrap_filter("_add", node.left, node.right) if has_several((node.left, node.right)) else node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return wrap_filter("_concat", nodes.List(node.nodes)) if has_several(node.nodes) else node

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return wrap_filter("_weighed", node) if has_several(node.items) else node

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return wrap_filter("_weighed", node) if node.ctx == "load" and has_several(node.items) else node

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        values = [part for pair in node.items for part in (pair.key, pair.value)]
        return wrap_filter("_weighed", node) if has_several(values) else node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if has_several([node.expr, *(operand.expr for operand in node.ops)]):
            node.expr = wrap_filter("_weighed", node.expr)
            for operand in node.ops:
                operand.expr = wrap_filter("_weighed", operand.expr)
        return node


def has_several(parts: Iterable[nodes.Expr]) -> bool:
    return sum(not is_small(part) for part in parts) > 1


def is_small(part: nodes.Expr) -> bool:
    """Whether the expression is a constant, or true or false."""
    if isinstance(part, (nodes.List, nodes.Tuple)):
        return all(map(is_small, part.items))
    return isinstance(part, (nodes.Const, nodes.Test, nodes.Compare, nodes.Not))


def wrap_filter(name: str, node: nodes.Expr, *args: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, list(args), [], None, None)


# pass_context keeps Jinja from evaluating these while it compiles the template.
@pass_context
def charge_loop(context: Context, iterable: Any, cost: int) -> Any:
    return budget().items(iterable, cost)


@pass_context
def charge_sum(context: Context, left: Any, right: Any) -> Any:
    return charge_result(left + right)


@pass_context
def charge_concat(context: Context, parts: list[Any]) -> str:
    budget().build(sum(map(budget().weigh, parts)))
    return "".join(map(str, parts))


@pass_context
def weigh_value(context: Context, value: Any) -> Any:
    if type(value) not in (str, int, bool, type(None)):
        budget().weigh(value)
    return value


OWN_FILTERS: dict[str, Callable[..., Any]] = {
    "_loop": charge_loop,
    "_add": charge_sum,
    "_concat": charge_concat,
    "_weighed": weigh_value,
}


def meter(name: str, function: F) -> F:
    """Wraps a filter or test, so that it is charged for its arguments, its possible growth, and its result."""
    first = int(hasattr(function, "jinja_pass_arg"))
    alone = first + 1

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        if len(args) == alone and not kwargs and type(args[first]) is str:
            budget().step()
            return charge_result(function(*args))
        return charge_result(function(*args[:first], *charge_arguments(name, args[first:], kwargs), **kwargs))

    return run  # type: ignore[return-value]  # wraps gives it F's signature


def charge_arguments(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """The same arguments, with their items counted as they are consumed. Raises SecurityError, OverBudget."""
    if not args:
        budget().step()
        return args
    if name not in CHEAP:
        args = tuple([materialize(name, items_of(value)) for value in args])
    if name not in CHEAP and name not in SHALLOW:
        require_bounded(name, args[0], [*args[1:], *kwargs.values()])
    return args


def items_of(value: Any) -> Any:
    """The items of an argument; a text is one item."""
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        budget().step()
        return value
    return budget().items(value)


def materialize(name: str, value: Any) -> Any:
    """Makes an iterator that a function may consume more than once into a list, which can be weighed first."""
    known = isinstance(value, (str, list, tuple, dict)) or not isinstance(value, Iterable)
    return value if known or name in LINEAR or name in SHALLOW else list(value)


def require_bounded(name: str, value: Any, others: Iterable[Any]) -> None:
    """Raises SecurityError or OverBudget if the result could be too large."""
    weight, factor = budget().weigh(value), 1
    for other in others:
        if isinstance(other, int) and not isinstance(other, bool):
            factor = max(factor, 1 if name in LINEAR else require_small(other))
        else:
            weighed = budget().weigh(other)
            factor = max(factor, 1 if name in LINEAR else weighed)
    budget().check(weight * factor)
    if name in ("format", "format_map"):
        require_narrow(value)


def require_small(number: int) -> int:
    if abs(number) > MAX_COUNT:
        raise SecurityError(f"a width or count of more than {MAX_COUNT}")
    return abs(number)


def require_narrow(pattern: Any) -> None:
    if isinstance(pattern, str) and WIDE.search(pattern):
        raise SecurityError("a format width of more than four digits, or one that is passed as an argument")


def charge_result(value: Any) -> Any:
    """Charges for the value and returns it."""
    if isinstance(value, str):
        budget().build(len(value))
    elif isinstance(value, (list, tuple, dict)):
        budget().build(ITEM * len(value))
    elif isinstance(value, Iterator):
        return map(charge_result, budget().items(value))
    return value


def finalize(value: Any) -> Any:
    """What `{{ value }}` writes."""
    if type(value) is not str:
        budget().weigh(value)
    return value


def concat_pieces(parts: Iterable[str]) -> str:
    """Jinja's own concat for the output of a template or macro. Charged before the text exists twice."""
    if isinstance(parts, list):
        budget().build(sum(map(len, parts)))
        return "".join(parts)
    pieces, left = [], iter(parts)
    while piece := list(islice(left, ITERATED)):
        budget().build(sum(map(len, piece)) + len(piece))
        pieces.append("".join(piece))
    return pieces[0] if len(pieces) == 1 else "".join(pieces)
