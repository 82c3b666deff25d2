"""The work of compiling a pattern: its characters, classes and counted repetitions."""

import re

# In units of weight.py, fitted to llguidance 1.9.1.
CHARACTER, IN_CLASS, PROPERTY = 1 / 5, 1 / 5, 1.2
MOST = 10.0**9

PARTS = re.compile(
    r"(?P<property>\\[pP](\{[^}]*\}|.))|(?P<escape>\\.)|(?P<class>\[\^?\]?(\\.|[^\]\\])*\])"
    r"|(?P<count>\{(?P<least>\d+)(,\d*)?\})|(?P<open>\()|(?P<close>\))|(?P<other>.)",
    re.DOTALL,
)


def pattern_weight(pattern: str) -> float:
    """Grows with the length of the shortest matches, since forced text is written out at once."""
    groups = [0.0]
    last = 0.0
    for part in PARTS.finditer(pattern):
        if part["open"]:
            groups.append(0.0)
            last = CHARACTER
        elif part["close"] and len(groups) > 1:
            last = groups.pop()
        elif part["count"]:
            # The atom itself has already been counted.
            last = min(MOST, last * max(0, int(part["least"][:9]) - 1))
        else:
            last = atom_weight(part)
        groups[-1] = min(MOST, groups[-1] + last)
    return 1 + sum(groups)


def atom_weight(part: re.Match[str]) -> float:
    if part["property"]:
        return PROPERTY
    if part["class"]:
        return CHARACTER + IN_CLASS * (len(part["class"]) - 2)
    return CHARACTER
