"""What frequency_penalty and presence_penalty may do to a token that came before."""

from collections.abc import Callable, Mapping

Law = Callable[[int, int], float]
"""The penalty of a token that came so many times in an output of so many tokens, in units of the parameter."""

OCCURRENCES = "it counts occurrences, as frequency_penalty does"
PRESENCE = "it counts presence only, as presence_penalty does"
SHARE = "it is divided by the length of the output"
IGNORED = "ignored"

LAWS: Mapping[str, Law] = {
    OCCURRENCES: lambda count, length: count,
    PRESENCE: lambda count, length: min(count, 1),
    SHARE: lambda count, length: count / max(length, 1),
    IGNORED: lambda count, length: 0,
    "the sign is reversed": lambda count, length: -count,
    "the sign is reversed, and it counts presence only": lambda count, length: -min(count, 1),
    "it acts twice": lambda count, length: 2 * count,
    "it acts twice, and counts presence only": lambda count, length: 2 * min(count, 1),
}
PROMISED: Mapping[str, str] = {"frequency_penalty": OCCURRENCES, "presence_penalty": PRESENCE}
