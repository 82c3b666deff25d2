"""Strategies for the values that random schemas are built around: strings with patterns and formats that fit them."""

import re
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from tests.constraints.json_values import KINDS

# Parts of patterns, each with strings that it matches.
ATOMS = {
    "[a-z]+": ["a", "abc", "zz"],
    "[A-Z]{2}": ["DE", "XY"],
    "[0-9]{1,3}": ["7", "042"],
    r"\d+": ["1", "2026"],
    r"\w+": ["a_1", "X"],
    "(foo|bar|b)": ["foo", "bar", "b"],
    "(?:-[a-z]+)*": ["", "-a", "-ab-c"],
    "[^/]+": ["x y", "ü", '"'],
    ".*": ["", "any thing"],
    ".+": ["z", "ab"],
    r"\s": [" ", "\t"],
    r"\S{2,}": ["ab", "!?"],
    "[-_.]": ["-", "_", "."],
    r"\.": ["."],
    "/": ["/"],
    "(ab)?": ["", "ab"],
    "x{0,3}": ["", "xxx"],
    "é|e": ["é", "e"],
    "[α-ω]{1,4}": ["α", "βγ"],
    r"[^\x00-\x1f]{1,5}": ["a", "tab"],
    "(a+)+": ["a", "aaa"],
    r"\bcat\b": ["cat"],
}
# Conditions that look around.
LOOKAROUNDS = ["(?!foo)", "(?!.*--)", "(?=.*[a-z])", "(?=.{1,8}$)", "(?![0-9])", "(?!-)", "(?=.*[0-9])(?=.*[a-z])"]
FORMATS = {
    "date-time": ["2026-11-28T09:08:07Z", "1985-04-12T23:20:50.52+01:00"],
    "date": ["2026-11-28", "2024-02-29"],
    "time": ["09:08:07Z", "23:20:50.5-08:00"],
    "duration": ["P3D", "PT1H30M", "P2W"],
    "email": ["a@b.c", "joe.bloggs@example.com"],
    "idn-email": ["a@b.c", "실례@example.com"],
    "hostname": ["example.com", "a-1.b"],
    "idn-hostname": ["example.com", "bücher.example"],
    "ipv4": ["127.0.0.1", "255.1.2.30"],
    "ipv6": ["::1", "2001:db8::8a2e:370:7334"],
    "uri": ["http://example.com/a?b#c", "urn:x:y"],
    "uri-reference": ["/a/b", "#frag", "http://a"],
    "iri": ["http://example.com/ü"],
    "iri-reference": ["/ü", "a"],
    "uri-template": ["/a/{id}", "x"],
    "uuid": ["01234567-89ab-cdef-0123-456789abcdef"],
    "json-pointer": ["", "/a~1b/0"],
    "relative-json-pointer": ["0", "1/a"],
    "regex": ["^a+$", "[b]"],
}
# Words that no specification defines.
VENDOR_FORMATS = ["int32", "password", "colour"]
WORDS = ["", "a", "b", "abc", "foo", "x y", 'say "hi"', "größe", "{}", "null", "aa", "line\nline", "\\", "😀", "ident"]
# Some are also keywords, or need an escape in a reference.
NAMES = ["a", "b", "c", "name", "id", "kind", "type", "items", "x-a", "x-b", "user_id", "tags", "größe", "$ref"]
NAMES += ['say "hi"', "enum", "required", "a/b", "t~x", "", "0", "properties"]
NAME_PATTERNS = ["^x-", "_id$", "^[a-z]+$", "a", "^[^x]", r"^\d+$", "^(name|id)$", ".", "^(?!x-)"]


@st.composite
def patterns(draw: st.DrawFn) -> tuple[str, str]:
    """A pattern and a string that it matches."""
    atoms = draw(st.lists(st.sampled_from(sorted(ATOMS)), min_size=1, max_size=4))
    example = "".join(draw(st.sampled_from(ATOMS[atom])) for atom in atoms)
    body = "".join(f"({atom})" if "|" in atom and atom[0] != "(" else atom for atom in atoms)
    choice = draw(st.integers(0, 9))
    start, end = ("^", "$") if choice < 6 else ("^", "") if choice == 6 else ("", "$") if choice == 7 else ("", "")
    looks = draw(st.sampled_from(LOOKAROUNDS)) if draw(st.integers(0, 5)) == 5 else ""
    if draw(st.integers(0, 11)) == 11:
        body += "|^other$"
        start = end = ""
    found = f"{start}{looks}{body}{end}"
    if not re.search(found, example):
        found = f"{start}{body}{end}"
    return (found, example) if re.search(found, example) else (re.escape(example), example)


def numbers() -> st.SearchStrategy[int | float]:
    return st.one_of(
        st.integers(-20, 20),
        st.integers(-20, 20),
        st.integers(-(10**6), 10**6),
        st.integers(-400, 400).map(lambda number: number / 100),
        st.integers(-40, 40).map(lambda number: number / 4),
        st.sampled_from([0, 1, -1, 1.0, 0.5, 10**15, 1e-7]),
    )


def names() -> st.SearchStrategy[str]:
    return st.sampled_from(NAMES)


class ValueDrawer:
    """Draws JSON values. `patterns` and `formats`: what some of the strings fit."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.patterns: dict[str, str] = {}
        self.formats: dict[str, str] = {}

    def value(self, depth: int) -> Any:
        """A JSON value; at depth 0 mostly an object."""
        kinds = ["object", "object", "array"] if depth == 0 else KINDS if depth < 3 else KINDS[:5]
        match self.one(kinds):
            case "string":
                return self.string()
            case "number" | "integer":
                return self.draw(numbers())
            case "boolean":
                return self.draw(st.booleans())
            case "null":
                return None
            case "array":
                count = self.upto(4)
                if count and self.chance(3):
                    return [self.value(depth + 1)] * count
                return [self.value(depth + 1) for _ in range(count)]
            case _:
                keys = self.draw(st.lists(names(), max_size=5, unique=True))
                return {key: self.value(depth + 1) for key in keys}

    def string(self) -> str:
        text: str
        match self.upto(5):
            case 0 | 1:
                text = self.one(WORDS)
            case 2 | 3:
                pattern, text = self.draw(patterns())
                self.patterns[text] = pattern
            case 4:
                name = self.one(sorted(FORMATS))
                text = self.one(FORMATS[name])
                self.formats[text] = name
            case _:
                text = self.draw(st.text(max_size=8))
        return text

    # Small draws, the simplest first.

    def chance(self, one_in: int) -> bool:
        return bool(self.draw(st.integers(0, one_in - 1)) == one_in - 1)

    def upto(self, most: int) -> int:
        return self.draw(st.integers(0, most))

    def one(self, options: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(options))

    def shuffled(self, options: list[Any]) -> list[Any]:
        return self.draw(st.permutations(options))
