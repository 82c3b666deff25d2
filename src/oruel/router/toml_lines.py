"""Finds the lines of the keys and array items of a TOML document, which tomllib doesn't report."""

import re
import tomllib
from bisect import bisect_left
from collections.abc import Generator, Iterator
from dataclasses import dataclass

Path = tuple[str | int, ...]
KeyLine = tuple[Path, int]

# Whitespace and comments.
WHITESPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*+")
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
    """Yields the path and the line of each key and array item, in document order. Lines count from 1. A path may
    repeat; its first line counts, even if that is the header of an inner table. tomllib must have accepted the
    document.
    """
    reader = TomlReader(text)
    table: Path = ()
    latest: dict[Path, int] = {}
    while not reader.is_at_end():
        if reader.take("["):
            is_item, line = reader.take("["), reader.line
            named = table_header(reader.read_key(), latest, is_item=is_item)
            table = named[-1]
            reader.close_header()
            yield from ((path, line) for path in named)
        else:
            yield from reader.read_assignment(table)


def table_header(names: list[str], latest: dict[Path, int], *, is_item: bool) -> list[Path]:
    """The paths that a header names, of which the last one is the new table. `latest` holds the last index of each
    array of tables, and is updated.
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
    """An array or inline table that is being read. `items` counts the items of an array so far; None in a table."""

    path: Path
    items: int | None


class TomlReader:
    """Reads a valid document from start to end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._breaks = [match.start() for match in re.finditer("\n", text)]

    @property
    def line(self) -> int:
        return bisect_left(self._breaks, self._at) + 1

    def is_at_end(self) -> bool:
        self._match(WHITESPACE)
        return self._at == len(self._text)

    def take(self, mark: str) -> bool:
        """Skips whitespace, and then `mark` if it follows. Returns whether it followed."""
        self._match(WHITESPACE)
        found = self._text.startswith(mark, self._at)
        self._at += len(mark) * found
        return found

    def read_key(self) -> list[str]:
        names = [self._read_name()]
        while self.take("."):
            names.append(self._read_name())
        return names

    def close_header(self) -> None:
        while self._text.startswith("]", self._at):
            self._at += 1

    def read_assignment(self, table: Path) -> Iterator[KeyLine]:
        """Reads a key and its value, and yields the keys and items in it. Iterates, because a document may nest more
        deeply than Python's stack.
        """
        path = yield from self._read_key_path(table)
        open_containers: list[TomlContainer] = []
        while True:
            self._enter_value(path, open_containers)
            while open_containers and self._closes_container():
                open_containers.pop()
            if not open_containers:
                return
            inner = open_containers[-1]
            if inner.items is None:
                path = yield from self._read_key_path(inner.path)
            else:
                path = (*inner.path, inner.items)
                inner.items += 1
                yield path, self.line

    def _read_key_path(self, table: Path) -> Generator[KeyLine, None, Path]:
        """Reads a key and the equals sign. Yields the path of each part of the key, and returns the whole path."""
        self._match(WHITESPACE)
        line = self.line
        path = table
        for name in self.read_key():
            path = (*path, name)
            yield path, line
        self.take("=")
        return path

    def _enter_value(self, path: Path, open_containers: list[TomlContainer]) -> None:
        """Skips a scalar, or enters an array or inline table."""
        if self.take("["):
            open_containers.append(TomlContainer(path, 0))
        elif self.take("{"):
            open_containers.append(TomlContainer(path, None))
        else:
            self._match(SCALAR)

    def _closes_container(self) -> bool:
        self.take(",")
        closes = self.take("]") or self.take("}")
        self._match(WHITESPACE)
        return closes

    def _read_name(self) -> str:
        self._match(WHITESPACE)
        name = self._match(NAME)
        return str(tomllib.loads(f"name = {name}")["name"]) if name[0] in "\"'" else name

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        assert found, "tomllib accepted the document"
        self._at = found.end()
        return found[0]
