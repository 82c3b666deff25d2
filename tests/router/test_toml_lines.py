"""The lines of the keys of a TOML document, in every notation."""

import json
import random
import tomllib
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from oruel.router.toml_lines import Path, locate_keys

NAMES = ["name", "a", "b-c", "1", "x.y", "", "é", 'quo"te', "back\\slash", "#no", "[no]", "=", "tab\t", "it's", "\x00"]
SCALARS = [
    "1", "-1_0.5e3", "nan", "true", "1979-05-27 07:32:00Z", "07:32:00", '""', "''", '"x = 1 # no, ]"', "'[no]'",
    r'"\" ] \\"', '"""\n[[models]]\nname = "no"\\\n ""two\\""" x = [1,\n"""""', "'''\n# no ''\n[no]\nx = ']'\n'''''",
    '""""quoted""""', "''''''", '"""\\\\"""',
]  # fmt: skip
ENDS = ["\n", ' # x = [ "\n', "\r\n", "\n\n", "\n  # [no]\n"]
GAPS = ["", " ", "\n", "\n\n  # a comment ] \" ''' , [x]\n", "\r\n"]


class Document:
    """A random document that records the line of each key and item while it is written."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.text = ""
        self.lines: dict[Path, int] = {}
        names: set[str] = set()
        self.assignments((), names, 3)
        self.tables((), names, 3)

    def write(self, *choice: str) -> None:
        self.text += self.random.choice(choice)

    def record(self, path: Path) -> None:
        self.lines.setdefault(path, self.text.count("\n") + 1)

    def fresh(self, taken: set[str]) -> str:
        name = self.random.choice(NAMES)
        while name in taken:
            name += self.random.choice("abc")
        taken.add(name)
        return name

    def name(self, name: str) -> None:
        is_bare = name and name.isascii() and all(one.isalnum() or one in "-_" for one in name)
        is_literal = "'" not in name and name.isprintable()
        self.write(json.dumps(name), *([name] * 2 if is_bare else []), *([f"'{name}'"] if is_literal else []))

    def assignments(self, table: Path, names: set[str], depth: int) -> None:
        for _ in range(self.random.randrange(4)):
            self.write("", "  ", "\t")
            self.assignment(table, names, depth)
            self.write(*ENDS)

    def assignment(self, path: Path, names: set[str], depth: int) -> None:
        for number in range(self.random.choice([1, 1, 1, 2, 3])):
            self.write(*([" . ", "."] if number else [""]))
            path = (*path, self.fresh(names) if not number else self.random.choice(NAMES))
            self.record(path)
            self.name(str(path[-1]))
        self.write(" = ", "=", "\t=")
        self.value(path, depth)

    def value(self, path: Path, depth: int) -> None:
        match self.random.randrange(4) if depth else 0:
            case 2:
                self.array(path, depth - 1)
            case 3:
                self.inline(path, depth - 1)
            case _:
                self.write(*SCALARS)

    def array(self, path: Path, depth: int) -> None:
        self.write("[")
        for index in range(count := self.random.randrange(4)):
            self.write(*GAPS)
            self.record((*path, index))
            self.value((*path, index), depth)
            self.write(*GAPS)
            self.write(*([","] if index < count - 1 else ["", ","]))
        self.write(*GAPS)
        self.write("]")

    def inline(self, path: Path, depth: int) -> None:
        self.write("{ ", "{")
        names: set[str] = set()
        for index in range(self.random.randrange(4)):
            self.write(*([", ", ",", " ,"] if index else [""]))
            self.assignment(path, names, depth)
        self.write("}", " }")

    def tables(self, around: Path, names: set[str], depth: int) -> None:
        for _ in range(self.random.randrange(4) if depth else 0):
            path, is_array = (*around, self.fresh(names)), self.random.random() < 0.5
            for index in range(self.random.randrange(1, 3) if is_array else 1):
                table: Path = (*path, index) if is_array else path
                self.header(path, table, "[[ ]]" if is_array else "[ ]")
                inner: set[str] = set()
                self.assignments(table, inner, 3)
                self.tables(table, inner, depth - 1)

    def header(self, path: Path, table: Path, brackets: str) -> None:
        for end in range(1, len(path) + 1):
            self.record(path[:end])
        self.record(table)
        opening, closing = brackets.split()
        self.write(opening, f"{opening} ", f" {opening}")
        for number, name in enumerate(name for name in path if isinstance(name, str)):
            self.write(*([" . ", "."] if number else [""]))
            self.name(name)
        self.write(closing, f" {closing}")
        self.write(*ENDS)


def paths_in(value: Any, path: Path = ()) -> Iterator[Path]:
    if path:
        yield path
    for name, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from paths_in(inner, (*path, name))


@given(st.integers(0, 2**64))
def test_every_key_has_the_line_where_it_is_written(seed: int) -> None:
    document = Document(seed)
    found: dict[Path, int] = {}
    for path, line in locate_keys(document.text):
        found.setdefault(path, line)
    assert set(found) == set(paths_in(tomllib.loads(document.text)))
    assert found == document.lines


def test_a_table_has_the_line_of_the_first_header_that_names_it() -> None:
    assert list(locate_keys("x = 1\n[a.b]\ny = 2\n[a]\n")) == [
        (("x",), 1),
        (("a",), 2),
        (("a", "b"), 2),
        (("a", "b", "y"), 3),
        (("a",), 4),
    ]
