"""What frequency_penalty and presence_penalty may do to a token that came before."""

from collections.abc import Callable, Mapping

Law = Callable[[int], float]
"""The penalty of a token that came so many times, in units of the parameter."""

OCCURRENCES = "it counts occurrences, as frequency_penalty does"
PRESENCE = "it counts presence only, as presence_penalty does"
IGNORED = "ignored"

LAWS: Mapping[str, Law] = {
    OCCURRENCES: lambda count: count,
    PRESENCE: lambda count: min(count, 1),
    IGNORED: lambda count: 0,
    "the sign is reversed": lambda count: -count,
    "the sign is reversed, and it counts presence only": lambda count: -min(count, 1),
    "it acts twice": lambda count: 2 * count,
    "it acts twice, and counts presence only": lambda count: 2 * min(count, 1),
}
PROMISED: Mapping[str, str] = {"frequency_penalty": OCCURRENCES, "presence_penalty": PRESENCE}
