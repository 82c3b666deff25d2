"""The parts of an answer that the server's constraints write, such as the keys of a document. Training skips them.

A question alone doesn't tell whether the answer is a document. If the model learned how documents begin, it would also
begin them in plain answers.
"""

import re

KEY = re.compile(r'[\[{ ]*"(?:[^"\\]|\\.)*":')
CALL_START = re.compile(r'<tool_call>\n{"name": "[^"]*", "arguments":')
ANSWERING = ("assistant", "calls", "document", "forced calls")

Spans = list[tuple[int, int]]


def given_spans(role: str, answer: str) -> Spans:
    """The start and end of each given part, in characters, for an answer of a role in a conversation."""
    if role == "document":
        return [found.span() for found in KEY.finditer(answer)]
    if role == "forced calls":
        return [found.span() for found in CALL_START.finditer(answer)]
    return []


def is_given(spans: Spans, start: int, end: int) -> bool:
    """Whether a token lies inside a given part."""
    return any(first <= start and end <= last for first, last in spans)
