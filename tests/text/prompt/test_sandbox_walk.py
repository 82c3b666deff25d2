"""Everything that Jinja offers to a template, with adversarial arguments: each rendering ends soon, in little memory.

The names come from Jinja's own tables, so new ones in later versions are covered. The walk runs in processes with hard
limits: a hole shows as a MemoryError or a signal there and doesn't end the tests.
"""

import json
import operator
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice, product
from pathlib import Path
from typing import Any

from oruel.text.prompt.budget import RenderLimits, spending
from oruel.text.prompt.sandbox import Sandbox

MEMORY_BYTES = 300 * 2**20
CPU_SECONDS = 120
LONGEST_SECONDS = 2.0
# Each process takes every second expression.
PROCESSES = 2
# Small, so that the walk is fast: what respects these limits respects larger ones.
LIMITS = RenderLimits(steps=2**16, characters=2**17, seconds=0.05)

TEXT = "('ab c\n' * 9999)"
VALUES = (
    TEXT,
    "'ab'",
    "range(9)",
    "range(99999)",
    "(['x' * 999] * 999)",
    "{'a': 'x' * 9999, 'b': [1] * 9999}",
    "9.5",
    "own",
    "none",
)
ARGUMENTS = (
    *("", "99999999", "-99999999", "'x' * 9999", "99999999, 'x' * 99", "'x' * 99, 99999999"),
    *("own", "range(99999)", "attribute='a'", "none, none"),
)
OPERATORS = ("+", "-", "*", "/", "//", "%", "**", "~", "==", "<", "in", "and", "is sameas", "is eq", "is in")
# Iterators have to be consumed.
SHOW = "{{ (made if made is string or made is not iterable else made | list) | string | length }}"


def expressions(sandbox: Sandbox) -> Iterator[str]:
    names = [name for name in sandbox.filters if not name.startswith("_")]
    yield from (f"{v} | {name}({a})" for name, v, a in product(names, VALUES, ARGUMENTS))
    yield from (
        f"{v} is {name}({a})" for name, v, a in product(sandbox.tests, VALUES, ARGUMENTS[:6]) if name.isidentifier()
    )
    yield from (f"{name}({a})" for name, a in product(sandbox.globals, ARGUMENTS))
    for value, kind in ((TEXT, str), ("([1] * 9999)", list), ("{'a': 'x' * 9999}", dict), ("9", int), ("9.5", float)):
        methods = [
            name for name in dir(kind) if sandbox.is_safe_attribute(value, name, operator.attrgetter(name)(kind))
        ]
        yield from (f"({value}).{name}({a})" for name, a in product(methods, ARGUMENTS))
    yield from (f"{a} {o} {b}" for a, o, b in product((*VALUES, "9**300"), OPERATORS, (*VALUES, "99999999")))
    yield from (f"{v}[{s}]" for v, s in product(VALUES, ("::2", "-1", "99999999", "'a'", ":99999999")))


def walk(first: int) -> None:
    """Prints a line of JSON for each expression that isn't bounded, then how many there were."""
    sandbox, count = Sandbox(), 0
    with spending(LIMITS):
        render = walker(sandbox)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, used + MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    for expression in islice(expressions(sandbox), first, None, PROCESSES):
        count += 1
        start = time.process_time()
        outcome = failure(render, expression)
        seconds = time.process_time() - start
        if outcome or seconds > LONGEST_SECONDS:
            print(json.dumps({"expression": expression, "outcome": outcome, "seconds": seconds}), flush=True)
    print(json.dumps({"count": count}), flush=True)


def walker(sandbox: Sandbox) -> Callable[[str], str]:
    """Renders an expression. `own` is a list that contains itself."""
    # Compiled once, since compiling takes most of the time.
    show = sandbox.from_string(SHOW)

    def render(expression: str) -> str:
        own: list[Any] = [1]
        own.append(own)
        module = sandbox.from_string(f"{{% set made = ({expression}) %}}").make_module({"own": own})
        return show.render(made=vars(module)["made"])

    return render


def failure(render: Callable[[str], str], expression: str) -> str:
    """What went wrong; empty if the expression was rendered or refused."""
    try:
        with spending(LIMITS):
            render(expression)
    except (MemoryError, RecursionError, SystemError) as error:
        return f"{type(error).__name__}: {error}"[:200]
    except Exception:  # noqa: BLE001 - whatever an expression raises is how the template refuses
        return ""
    return ""


def test_the_walk_renders_some_expressions() -> None:
    with spending(LIMITS):
        render = walker(Sandbox())
        assert [render(one) for one in ("own | length", "'ab' | upper", "range(9) | map('string')")] == ["1", "2", "45"]


def test_everything_that_jinja_offers_is_bounded() -> None:
    command = [sys.executable, "-W", "ignore", "-m", "tests.text.prompt.test_sandbox_walk"]
    walks = [
        subprocess.Popen([*command, str(first)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for first in range(PROCESSES)
    ]
    count = 0
    for process in walks:
        output, errors = process.communicate(timeout=300)
        assert process.returncode == 0, output[-2000:] + errors[-2000:]
        *unbounded, counted = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        assert unbounded == []
        count += counted["count"]
    assert count > 3000


if __name__ == "__main__":
    walk(int(sys.argv[1]))
