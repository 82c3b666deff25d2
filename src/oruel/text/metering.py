"""Makes a template pay from its budget for whatever may take long or grow: at compile time by wrapping nodes of its
tree, at run time by wrapping the functions that it calls.
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

from oruel.text.budget import ITEM, ITERATED, budget

MAX_REPEATED = 2**20

# Filters and methods whose result may be as long as their value times a text that they are given.
GROWING = frozenset({"format", "format_map", "join", "replace", "translate", "urlize", "wordwrap", "xmlattr"})
# As long as their value times a text or a number.
WIDENING = frozenset({"center", "expandtabs", "indent", "ljust", "rjust", "tojson", "zfill"})

# Filters that look at a value without walking through it.
CHEAP = frozenset({"count", "default", "d", "first", "last", "length"})
# Filters that take items one by one, and don't look inside them.
SHALLOW = frozenset(
    {"attr", "items", "list", "map", "random", "reject", "rejectattr", "reverse", "select", "selectattr"}
)
COMPARISONS = frozenset(
    {"!=", "<", "<=", "==", ">", ">=", "eq", "equalto", "ge", "greaterthan", "gt", "in", "le", "lessthan", "lt", "ne"}
)

# A width of five digits, or one that is given as an argument.
WIDE = re.compile(r"%(?:\([^)]*\))?[^a-zA-Z%]*(?:\*|\d{5})|\{[^{}]*:[^{}]*(?:\{|\d{5})")

F = TypeVar("F", bound=Callable[..., Any])


class Metered(NodeTransformer):
    """Wraps loops, sums of two texts, lists of several values and comparisons of two values in the filters below.
    A constant makes no text longer than the template.
    """

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802  (jinja2's naming)
        cost = sum(1 for _ in node.find_all(nodes.Node))
        self.generic_visit(node)
        node.iter = wrapped("_loop", cast(nodes.Expr, node.iter), nodes.Const(cost))
        return node

    def visit_Add(self, node: nodes.Add) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return wrapped("_add", node.left, node.right) if several((node.left, node.right)) else node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return wrapped("_concat", nodes.List(node.nodes)) if several(node.nodes) else node

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return wrapped("_weighed", node) if several(node.items) else node

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return wrapped("_weighed", node) if node.ctx == "load" and several(node.items) else node

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        values = [part for pair in node.items for part in (pair.key, pair.value)]
        return wrapped("_weighed", node) if several(values) else node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if several([node.expr, *(operand.expr for operand in node.ops)]):
            node.expr = wrapped("_weighed", node.expr)
            for operand in node.ops:
                operand.expr = wrapped("_weighed", operand.expr)
        return node


def several(parts: Iterable[nodes.Expr]) -> bool:
    return sum(not is_small(part) for part in parts) > 1


def is_small(part: nodes.Expr) -> bool:
    """Whether it is written in the template, or is true or false."""
    if isinstance(part, (nodes.List, nodes.Tuple)):
        return all(map(is_small, part.items))
    return isinstance(part, (nodes.Const, nodes.Test, nodes.Compare, nodes.Not))


def wrapped(name: str, node: nodes.Expr, *args: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, list(args), [], None, None)


# With pass_context, none of these is computed while the template is compiled.
@pass_context
def loop(context: Context, iterable: Any, cost: int) -> Any:
    return budget().items(iterable, cost)


@pass_context
def add(context: Context, left: Any, right: Any) -> Any:
    return built(left + right)


@pass_context
def concat(context: Context, parts: list[Any]) -> str:
    budget().build(sum(map(budget().weigh, parts)))
    return "".join(map(str, parts))


@pass_context
def weighed(context: Context, value: Any) -> Any:
    if type(value) not in (str, int, bool, type(None)):
        budget().weigh(value)
    return value


OWN_FILTERS: dict[str, Callable[..., Any]] = {"_loop": loop, "_add": add, "_concat": concat, "_weighed": weighed}


def metered_filter(name: str, function: F) -> F:
    """`function`, with its items counted, its values weighed before they become text, and its result paid for."""
    first = int(hasattr(function, "jinja_pass_arg"))
    alone = first + 1

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        if len(args) == alone and not kwargs and type(args[first]) is str:
            budget().step()
            return built(function(*args))
        taken = args[first:]
        if taken and name not in CHEAP:
            taken = (at_hand(name, items_of(taken[0])), *taken[1:])
            args = (*args[:first], *taken)
        if taken and name not in CHEAP and name not in SHALLOW:
            require_bounded(name, taken[0], [*taken[1:], *kwargs.values()])
        return built(function(*args, **kwargs))

    return run  # type: ignore[return-value]  # wraps gives it F's face


def items_of(value: Any) -> Any:
    """What a filter is given: a text is one item."""
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        budget().step()
        return value
    return budget().items(value)


def at_hand(name: str, value: Any) -> Any:
    """What is joined, as a list that can be weighed first."""
    known = name != "join" or isinstance(value, (str, list, tuple, dict)) or not isinstance(value, Iterable)
    return value if known else list(value)


def metered_test(function: F) -> F:
    @wraps(function)
    def run(*args: Any) -> Any:
        for value in args:
            budget().weigh(value)
        return function(*args)

    return run  # type: ignore[return-value]  # wraps gives it F's face


def require_bounded(name: str, value: Any, others: Iterable[Any]) -> None:
    """For a function that makes text of `value`. Raises SecurityError, OverBudget."""
    weight, factor = budget().weigh(value), 1
    for other in others:
        if isinstance(other, int):
            factor = max(factor, require_small(other) if name in WIDENING else 1)
        else:
            factor = max(factor, budget().weigh(other) if name in GROWING or name in WIDENING else 1)
    budget().check(weight * factor)
    if name in ("format", "format_map"):
        require_narrow(value)


def require_small(number: int) -> int:
    if abs(number) > MAX_REPEATED:
        raise SecurityError(f"a width or count of more than {MAX_REPEATED}")
    return abs(number)


def require_narrow(pattern: Any) -> None:
    if isinstance(pattern, str) and WIDE.search(pattern):
        raise SecurityError("a format with a width of more than four digits, or with one from outside")


def built(value: Any) -> Any:
    """The same, paid for."""
    if isinstance(value, str):
        budget().build(len(value))
    elif isinstance(value, (list, tuple, dict)):
        budget().build(ITEM * len(value))
    elif isinstance(value, Iterator):
        return budget().items(value)
    return value


def shown(value: Any) -> Any:
    """What `{{ value }}` shows."""
    if type(value) is not str:
        budget().weigh(value)
    return value


def joined(parts: Iterable[str]) -> str:
    """jinja2's own concat, for what a template or a macro has written: paid for before it is held twice."""
    if isinstance(parts, list):
        budget().build(sum(map(len, parts)))
        return "".join(parts)
    pieces, left = [], iter(parts)
    while piece := list(islice(left, ITERATED)):
        budget().build(sum(map(len, piece)) + len(piece))
        pieces.append("".join(piece))
    return pieces[0] if len(pieces) == 1 else "".join(pieces)
