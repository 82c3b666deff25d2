"""The bounds and types of every number: what is allowed must be accepted, everything else refused by name."""

import json
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

from oruel.verify.check import Check
from oruel.verify.checks.steps import BUSY, STORY, combined, refusal
from oruel.verify.probe import Probe, user
from oruel.verify.profile import PROFILES, Range
from oruel.verify.reply import Json, Reply, StreamReply
from oruel.verify.verdict import Verdict, cant_tell, differs, honoured, refused

Answer = Reply | StreamReply

# Requests in which each parameter shows an effect.
DRAWN: Json = {"temperature": 2, "seed": 20, "max_tokens": 24}
GREEDY: Json = {"temperature": 0, "max_tokens": 48}
CONTEXTS: dict[str, Json] = {
    "temperature": {"seed": 20, "max_tokens": 24},
    "top_p": DRAWN,
    "top_k": DRAWN,
    "min_p": DRAWN,
    "seed": {"temperature": 2, "max_tokens": 24},
    "frequency_penalty": GREEDY,
    "presence_penalty": GREEDY,
    "repetition_penalty": GREEDY,
    "n": {"temperature": 0, "max_tokens": 4},
    "top_logprobs": {"temperature": 0, "max_tokens": 1, "logprobs": True},
    "max_tokens": {"temperature": 0},
}
# Allowed values whose effect differs from that of leaving the parameter out.
TELLING: dict[str, float] = {
    "temperature": 0,
    "top_p": 0,
    "top_k": 1,
    "min_p": 1,
    "seed": 7,
    "frequency_penalty": 2,
    "presence_penalty": 2,
    "repetition_penalty": 3,
    "n": 2,
    "top_logprobs": 2,
    "max_tokens": 3,
}
# A value just outside a bound may look clamped to it. If a value so far outside does too, both are.
FURTHER = 40
# An answer with a larger max_tokens is left half-way, as it might be long.
LONG = 200


async def ask(probe: Probe, name: str, value: Any, absent: bool = False) -> Answer:
    """A request with the parameter, or without it if `absent`."""
    fields = {field: one for field, one in CONTEXTS[name].items() if field != "seed" or "seed" in probe.facts.accepts}
    request = probe.endpoint.body({"messages": user(STORY), **fields})
    if absent:
        return await probe.endpoint.send(request if name != "max_tokens" else request | {"max_tokens": LONG})
    if name == "max_tokens" and isinstance(value, int) and value > LONG:
        stream = await probe.endpoint.stream(leave_after=3, **(request | {name: value}))
        return stream.refusal or stream
    return await probe.endpoint.send(request | {name: value})


def effect(answer: Answer) -> object:
    """Everything in an answer on which a parameter may have an effect."""
    if isinstance(answer, StreamReply):
        return answer.text()
    tokens = answer.tokens()
    return answer.texts, answer.completion_tokens, len(tokens[0].top) if tokens else 0


async def treatment(probe: Probe, name: str, value: Any, accepted: Answer, meant: float, clamped: bool) -> str:
    """What the endpoint does with a value that it should have refused: the effect of `meant`, or none."""
    if isinstance(accepted, StreamReply):
        return "accepted"
    shown = effect(accepted)
    as_meant, again = [effect(await ask(probe, name, meant)) for _ in range(2)]
    without = effect(await ask(probe, name, None, absent=True))
    if as_meant != again or as_meant == without:
        return "accepted, with no effect to tell its own from"
    if shown == as_meant and not clamped:
        return f"taken as {written(meant)}"
    if shown == as_meant:
        further = meant + int(math.copysign(FURTHER, value - meant))
        is_clamped = effect(await ask(probe, name, further)) == as_meant
        return f"clamped to {written(meant)}" if is_clamped else "accepted"
    return "ignored" if shown == without else "accepted"


def judge_refusal(name: str, value: Any, answer: Answer) -> Verdict:
    """Of an answer that isn't an acceptance. Invalid JSON such as NaN is refused before names are known."""
    if answer.status in BUSY:
        return refusal(answer)
    evidence = {"exchanges": (answer.exchange,)}
    if answer.status >= 500 or answer.status == 200:
        return differs(f"{written(value)} fails with status {answer.status}", **evidence)
    unspeakable = isinstance(value, float) and not math.isfinite(value)
    if unspeakable or (isinstance(answer, Reply) and answer.names(name)):
        return honoured(**evidence)
    return differs(f"the refusal of {written(value)} doesn't name {name}", **evidence)


async def judge_inside(probe: Probe, name: str, value: Any) -> Verdict:
    answer = await ask(probe, name, value)
    if answer.ok:
        return honoured(exchanges=(answer.exchange,))
    if answer.status in BUSY:
        return refusal(answer)
    return refused(f"{written(value)}: status {answer.status}", exchanges=(answer.exchange,))


async def judge_outside(probe: Probe, name: str, value: Any, meant: float, clamped: bool) -> Verdict:
    answer = await ask(probe, name, value)
    if not answer.ok:
        return judge_refusal(name, value, answer)
    found = await treatment(probe, name, value, answer, meant, clamped)
    return differs(f"{written(value)} is {found}", exchanges=(answer.exchange,))


def beyond(bounds: Range) -> list[tuple[float, float]]:
    """Values just outside and, for fractions, far outside, each with the bound to which it might be clamped."""
    if bounds.whole:
        return [(int(bounds.low) - 1, bounds.low), (int(bounds.high) + 1, bounds.high)]
    span = bounds.high - bounds.low
    steps = (0.01, span)
    return [(round(bounds.low - step, 2), bounds.low) for step in steps] + [
        (round(bounds.high + step, 2), bounds.high) for step in steps
    ]


def wrong_types(name: str, bounds: Range) -> list[tuple[Any, float]]:
    """Values of wrong types, each with the number for which it might be taken."""
    value = TELLING[name]
    fraction: list[tuple[Any, float]] = [(1.5, 1)] if bounds.whole else [(math.nan, value), (math.inf, bounds.high)]
    return [(json.dumps(value), value), (True, 1), ([value], value), ({}, value), *fraction]


async def check_bounds(name: str, probe: Probe) -> Verdict:
    if (bounds := probe.profile.ranges.get(name)) is None:
        return cant_tell("the profile states no range")
    parts = [await judge_inside(probe, name, end) for end in (bounds.low, bounds.high)]
    parts += [await judge_outside(probe, name, value, bound, clamped=True) for value, bound in beyond(bounds)]
    return replace(combined(parts), figures={"lowest": written(bounds.low), "highest": written(bounds.high)})


async def check_types(name: str, probe: Probe) -> Verdict:
    if (bounds := probe.profile.ranges.get(name)) is None:
        return cant_tell("the profile states no range")
    parts = [await judge_inside(probe, name, None)]
    if bounds.whole:
        parts.append(await judge_inside(probe, name, float(TELLING[name])))
    parts += [
        await judge_outside(probe, name, value, meant, clamped=False) for value, meant in wrong_types(name, bounds)
    ]
    return combined(parts)


def written(value: Any) -> str:
    """As in a JSON body; whole numbers without a fraction."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value)


def checks_of(name: str) -> tuple[Check, Check]:
    bounds: Callable[[Probe], Awaitable[Verdict]] = partial(check_bounds, name)
    types: Callable[[Probe], Awaitable[Verdict]] = partial(check_types, name)
    return (
        Check(
            f"{name}.range",
            name,
            f"Are all allowed values of {name} accepted, and all others refused by name?",
            "Sends both bounds, and values just and far outside them. Where such a value is accepted, compares the "
            "answer with those for the bound and without the parameter: it is clamped, ignored or used.",
            tokens=250,
            run=bounds,
        ),
        Check(
            f"{name}.types",
            name,
            f"Are values of other JSON types refused, and null taken as unset, for {name}?",
            "Sends null, a string with a number, true, an array and an object; a fraction where a whole number is "
            "wanted, or else NaN and Infinity. Where one is accepted, compares the answer with that for the number.",
            tokens=250,
            run=types,
        ),
    )


RANGED = dict.fromkeys(name for profile in PROFILES.values() for name in profile.ranges)
CHECKS: tuple[Check, ...] = tuple(check for name in RANGED for check in checks_of(name))
