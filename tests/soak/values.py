"""Random values for the declared parameters, valid and invalid."""

import math
from collections.abc import Callable
from random import Random
from typing import Any

from oruel.contract.kinds import (
    Boolean,
    Integer,
    Kind,
    Number,
    Object,
    StringEnum,
    StringOrArray,
    TaggedUnion,
    TokenMap,
)
from oruel.contract.parameters import PARAMETERS

STOPS = ("\n", ".", "the", " a", "e", "1", "zebra crossing", "?!", "日", "x" * 256)
MAX_CHOICES = 4
LONGEST_USUAL_ANSWER = 160

Maker = Callable[[Random, int], Any]


def parameters(random: Random, vocabulary: int) -> dict[str, Any]:
    """Random parameters with random valid values. `vocabulary` is the size of the model's vocabulary."""
    given = {
        parameter.name: SPECIAL.get(parameter.name, valid_value(parameter.kind))(random, vocabulary)
        for parameter in PARAMETERS
        if parameter.served and parameter.name not in BOUNDING and random.random() < 0.25
    }
    return fix_conflicts(given | random_limits(random), random)


def valid_value(kind: Kind) -> Maker:
    """Returns a function that makes valid values. For other kinds they are None, which every optional parameter
    accepts.
    """

    def make(random: Random, vocabulary: int) -> Any:
        match kind:
            case Number(low, high):
                return random.choice((low, high, random.uniform(low, high)))
            case Integer(low, high):
                return random.choice((low, high, random.randint(low, high), float(random.randint(1, 9))))
            case Boolean():
                return random.random() < 0.5
            case StringEnum(values):
                return random.choice(values)
            case TokenMap(Number(low, high)):
                count = random.choice((1, 5, 50))
                return {str(random.randrange(vocabulary)): random.uniform(low, high) for _ in range(count)}
            case _:
                return None

    return make


def stops(random: Random, vocabulary: int) -> Any:
    return random.choice((random.choice(STOPS), random.sample(STOPS, random.randint(0, 4)), None))


SPECIAL: dict[str, Maker] = {
    "stop": stops,
    "response_format": lambda random, vocabulary: {"type": "text"},
    "stream_options": lambda random, vocabulary: {"include_usage": random.random() < 0.7},
}

# The parameters that determine the cost of a request, chosen together so that the run stays bounded.
BOUNDING = ("n", "max_tokens", "max_completion_tokens")


def random_limits(random: Random) -> dict[str, Any]:
    if random.random() < 0.06:
        return random.choice(({}, {"max_tokens": 131072}, {"max_tokens": None, "n": 1}))
    name = random.choice(("max_tokens", "max_completion_tokens"))
    length = round(math.exp(random.uniform(0, math.log(LONGEST_USUAL_ANSWER))))
    return {name: length} | ({"n": random.randint(1, MAX_CHOICES)} if random.random() < 0.3 else {})


def fix_conflicts(given: dict[str, Any], random: Random) -> dict[str, Any]:
    """Removes combinations of fields that the server would refuse."""
    given["stream"] = given.get("stream") or random.random() < 0.4
    if not given["stream"]:
        given.pop("stream_options", None)
    if not given.get("logprobs"):
        given.pop("top_logprobs", None)
    return given


def wrong_value(kind: Kind, random: Random) -> Any:
    return random.choice(wrong_values(kind))


def wrong_values(kind: Kind) -> tuple[Any, ...]:
    match kind:
        case Number(low, high):
            return (high + 0.001, low - 1, "0.7", True, [], math.nan, math.inf, 10**400)
        case Integer(low, high):
            return (high + 1, low - 1, 1.5, "3", False, {}, math.nan)
        case Boolean():
            return ("true", 1, 0, [])
        case StringEnum():
            return ("", "none such", 3)
        case StringOrArray():
            return ("", "x" * 257, [""], ["a"] * 5, 7)
        case TokenMap():
            return ([], {"x": 1}, {"1": 101}, {"-1": 0}, {"01": 0}, {"999999999": 1})
        case Object():
            return ("none such", {"nobody": 1})
        case TaggedUnion():
            return ("text", {}, {"type": "none such"})
        case _:
            return ("none such", {"nobody": 1}, 7)
