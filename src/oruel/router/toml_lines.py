"""The lines of the keys and array items of a TOML document, which tomllib doesn't report."""

import re
import tomllib
from bisect import bisect_left
from collections.abc import Generator, Iterator
from dataclasses import dataclass

Path = tuple[str | int, ...]
KeyLine = tuple[Path, int]

BETWEEN = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*+")
NAME = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*+"|'[^']*+'""")
# A string, or everything up to the end of a number, a date or a boolean.
SCALAR = re.compile(
    r'''"""(?:[^"\\]|\\.|"(?!""))*+"{3,5}'''
    r"""|'''(?:[^']|'(?!''))*+'{3,5}"""
    r'''|"(?:[^"\\]|\\.)*+"'''
    r"""|'[^']*+'"""
    r"""|[^,\]}#\n]++""",
    re.DOTALL,
)


def locate_keys(text: str) -> Iterator[KeyLine]:
    """Paths with their lines, from 1, in document order, for a document that tomllib accepts. A table's line is the
    first that names it, even in the header of a table inside.
    """
    reader = TomlReader(text)
    table: Path = ()
    latest: dict[Path, int] = {}
    while not reader.is_at_end():
        if reader.take("["):
            is_item, line = reader.take("["), reader.line
            named = table_header(reader.key(), latest, is_item=is_item)
            table = named[-1]
            reader.close_header()
            yield from ((path, line) for path in named)
        else:
            yield from reader.assignment(table)


def table_header(names: list[str], latest: dict[Path, int], *, is_item: bool) -> list[Path]:
    """The paths that a header names; the last one is the table that begins. `latest`: the last index of each array of
    tables.
    """
    path: Path = ()
    named: list[Path] = []
    for depth, name in enumerate(names):
        path = (*path, name)
        named.append(path)
        if is_item and depth == len(names) - 1:
            latest[path] = latest.get(path, -1) + 1
        if path in latest:
            path = (*path, latest[path])
            named.append(path)
    return named


@dataclass(slots=True)
class TomlContainer:
    """An array or inline table that is being read. `items` counts those of an array so far, None in a table."""

    path: Path
    items: int | None


class TomlReader:
    """Reads a document that is known to be valid."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._breaks = [match.start() for match in re.finditer("\n", text)]

    @property
    def line(self) -> int:
        return bisect_left(self._breaks, self._at) + 1

    def is_at_end(self) -> bool:
        self._match(BETWEEN)
        return self._at == len(self._text)

    def take(self, mark: str) -> bool:
        """Skips `mark` if it comes next, and returns whether it did."""
        self._match(BETWEEN)
        found = self._text.startswith(mark, self._at)
        self._at += len(mark) * found
        return found

    def key(self) -> list[str]:
        names = [self._name()]
        while self.take("."):
            names.append(self._name())
        return names

    def close_header(self) -> None:
        while self._text.startswith("]", self._at):
            self._at += 1

    def assignment(self, table: Path) -> Iterator[KeyLine]:
        """Reads a key and its whole value. Without recursion, since the depth of a document may exceed that of the
        stack.
        """
        path = yield from self._assigned(table)
        within: list[TomlContainer] = []
        while True:
            self._open(path, within)
            while within and self._closes():
                within.pop()
            if not within:
                return
            inner = within[-1]
            if inner.items is None:
                path = yield from self._assigned(inner.path)
            else:
                path = (*inner.path, inner.items)
                inner.items += 1
                yield path, self.line

    def _assigned(self, table: Path) -> Generator[KeyLine, None, Path]:
        """Reads each part of a key; returns the whole path."""
        self._match(BETWEEN)
        line = self.line
        path = table
        for name in self.key():
            path = (*path, name)
            yield path, line
        self.take("=")
        return path

    def _open(self, path: Path, within: list[TomlContainer]) -> None:
        """Skips a scalar, or enters an array or a table."""
        if self.take("["):
            within.append(TomlContainer(path, 0))
        elif self.take("{"):
            within.append(TomlContainer(path, None))
        else:
            self._match(SCALAR)

    def _closes(self) -> bool:
        self.take(",")
        closes = self.take("]") or self.take("}")
        self._match(BETWEEN)
        return closes

    def _name(self) -> str:
        self._match(BETWEEN)
        name = self._match(NAME)
        return str(tomllib.loads(f"name = {name}")["name"]) if name[0] in "\"'" else name

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        assert found, "tomllib has read it"
        self._at = found.end()
        return found[0]
