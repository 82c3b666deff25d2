"""The bounds and types of every number: what is allowed must be accepted, everything else refused by name."""

import json
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

from oruel.verify.check import Check
from oruel.verify.checks.steps import BUSY, STORY, combined_cases, refusal
from oruel.verify.probe import Probe, user
from oruel.verify.profile import PROFILES, Range
from oruel.verify.reply import Json, Reply, StreamReply
from oruel.verify.verdict import Verdict, cant_tell, differs, honoured, refused

Answer = Reply | StreamReply
Case = tuple[str, Verdict]
"""A value as written in the request, and what came of it."""

# Requests in which each parameter shows an effect.
DRAWN: Json = {"temperature": 2, "seed": 20, "max_tokens": 24}
GREEDY: Json = {"temperature": 0, "max_tokens": 48}
CONTEXTS: dict[str, Json] = {
    "temperature": DRAWN,
    "top_p": DRAWN,
    "top_k": DRAWN,
    "min_p": DRAWN,
    "seed": {"temperature": 2, "max_tokens": 24},
    "frequency_penalty": GREEDY,
    "presence_penalty": GREEDY,
    "repetition_penalty": GREEDY,
    # vLLM refuses several choices at temperature 0.
    "n": {"temperature": 1, "seed": 20, "max_tokens": 4},
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
# A penalty that is strong enough to decide every token can't show that it is even stronger.
SATURATING = ("frequency_penalty", "presence_penalty", "repetition_penalty")
# An answer with a larger max_tokens is left half-way, as it might be long.
LONG = 200


async def ask(probe: Probe, name: str, value: Any, absent: bool = False) -> Answer:
    """A request with the parameter, or without it if `absent`."""
    fields = {field: one for field, one in CONTEXTS[name].items() if field != "seed" or "seed" in probe.facts.accepts}
    # Filters that are on by default would hide the effect of others.
    fields = probe.neutral(**fields) if fields.get("temperature") else fields
    request = probe.endpoint.body({"messages": user(STORY), **fields})
    if absent:
        request.pop(name, None)
        return await probe.endpoint.send(request if name != "max_tokens" else request | {"max_tokens": LONG})
    if name == "max_tokens" and isinstance(value, int) and value > LONG:
        stream = await probe.endpoint.stream(leave_after=3, **(request | {name: value}))
        return stream.refusal or stream
    return await probe.endpoint.send(request | {name: value})


def effect(answer: Answer) -> object:
    """Everything in an answer on which a parameter may have an effect."""
    if isinstance(answer, StreamReply):
        return answer.thoughts, answer.text()
    tokens = answer.tokens()
    return answer.whole_texts, answer.completion_tokens, len(tokens[0].top) if tokens else 0


async def treatment(probe: Probe, name: str, accepted: Answer, meant: float, inner: float | None) -> str:
    """What the endpoint does with a value that it should have refused, shown by its effect.

    A value may act like `meant`, the bound, since the effect can't grow any more. It is only called clamped if it can,
    and `inner`, a value inside of the bound, acts differently. Without `inner`, `meant` is what the value stands for.
    """
    if isinstance(accepted, StreamReply):
        return "accepted"
    shown = effect(accepted)
    as_meant, again = [effect(await ask(probe, name, meant)) for _ in range(2)]
    without = effect(await ask(probe, name, None, absent=True))
    if as_meant != again or as_meant == without:
        return "accepted without effect shown"
    if shown == as_meant:
        if inner is None:
            return f"taken as {written(meant)}"
        clamped = name not in SATURATING and effect(await ask(probe, name, inner)) != as_meant
        return f"clamped to {written(meant)}" if clamped else f"accepted, acting like {written(meant)}"
    return "ignored" if shown == without else "accepted"


def judge_refusal(name: str, value: Any, answer: Answer) -> Verdict:
    """Of an answer that isn't an acceptance. Invalid JSON such as NaN is refused before names are known."""
    if answer.status in BUSY:
        return refusal(answer)
    evidence = {"exchanges": (answer.exchange,)}
    if answer.status >= 500 or answer.status == 200:
        return differs(f"fails with status {answer.status}", **evidence)
    unspeakable = isinstance(value, float) and not math.isfinite(value)
    if unspeakable or (isinstance(answer, Reply) and answer.names(name)):
        return honoured(**evidence)
    return differs(f"the refusal doesn't name {name}", **evidence)


async def judge_inside(probe: Probe, name: str, value: Any) -> Case:
    answer = await ask(probe, name, value)
    if answer.ok:
        return written(value), honoured(exchanges=(answer.exchange,))
    if answer.status in BUSY:
        return written(value), refusal(answer)
    return written(value), refused(f"status {answer.status}", exchanges=(answer.exchange,))


async def judge_outside(probe: Probe, name: str, value: Any, meant: float, inner: float | None = None) -> Case:
    answer = await ask(probe, name, value)
    if not answer.ok:
        return written(value), judge_refusal(name, value, answer)
    found = await treatment(probe, name, answer, meant, inner)
    return written(value), differs(found, exchanges=(answer.exchange,))


def beyond(bounds: Range) -> list[tuple[float, float, float]]:
    """Values just outside and, for fractions, far outside, each with the nearest bound and a value inside of it."""
    low, high = bounds.low, bounds.high
    if bounds.whole:
        return [(int(low) - 1, low, low + 1), (int(high) + 1, high, high - 1)]
    span = high - low
    below = [(round(low - step, 2), low, round(low + span / 10, 2)) for step in (0.01, span)]
    return below + [(round(high + step, 2), high, round(high - span / 10, 2)) for step in (0.01, span)]


def wrong_types(name: str, bounds: Range) -> list[tuple[Any, float]]:
    """Values of wrong types, each with the number for which it might be taken."""
    value = TELLING[name]
    fraction: list[tuple[Any, float]] = [(1.5, 1)] if bounds.whole else [(math.nan, value), (math.inf, bounds.high)]
    return [(json.dumps(value), value), (True, 1), ([value], value), ({}, value), *fraction]


async def check_bounds(name: str, probe: Probe) -> Verdict:
    if (bounds := probe.profile.ranges.get(name)) is None:
        return cant_tell("the profile states no range")
    cases = [await judge_inside(probe, name, end) for end in (bounds.low, bounds.high)]
    cases += [await judge_outside(probe, name, *values) for values in beyond(bounds)]
    return replace(combined_cases(cases), figures={"lowest": written(bounds.low), "highest": written(bounds.high)})


async def check_types(name: str, probe: Probe) -> Verdict:
    if (bounds := probe.profile.ranges.get(name)) is None:
        return cant_tell("the profile states no range")
    cases = [await judge_inside(probe, name, None)]
    if bounds.whole:
        cases.append(await judge_inside(probe, name, float(TELLING[name])))
    cases += [await judge_outside(probe, name, *values) for values in wrong_types(name, bounds)]
    return combined_cases(cases)


def written(value: Any) -> str:
    """As in a JSON body; whole numbers without a fraction."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value)


def checks_of(name: str) -> tuple[Check, Check]:
    bounds: Callable[[Probe], Awaitable[Verdict]] = partial(check_bounds, name)
    types: Callable[[Probe], Awaitable[Verdict]] = partial(check_types, name)
    requires = ("logprobs",) if name == "top_logprobs" else ()
    return (
        Check(
            f"{name}.range",
            name,
            f"Are all allowed values of {name} accepted, and all others refused by name?",
            "Sends both bounds, and values just and far outside them. Where such a value is accepted, compares the "
            "answer with those for the bound and without the parameter: it is clamped, ignored or used.",
            tokens=150,
            run=bounds,
            requires=requires,
        ),
        Check(
            f"{name}.types",
            name,
            f"Are values of other JSON types refused, and null taken as unset, for {name}?",
            "Sends null, a string with a number, true, an array and an object; a fraction where a whole number is "
            "wanted, or else NaN and Infinity. Where one is accepted, compares the answer with that for the number.",
            tokens=70,
            run=types,
            requires=requires,
        ),
    )


RANGED = dict.fromkeys(name for profile in PROFILES.values() for name in profile.ranges)
CHECKS: tuple[Check, ...] = tuple(check for name in RANGED for check in checks_of(name))
