"""The beginning of a JSON document: what is written, what is open, and where the next text goes."""

import json
import re
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

Path = tuple[str | int, ...]

LITERALS = {"t": ("true", True), "f": ("false", False), "n": ("null", None)}
NUMBER = re.compile(r"-?[0-9.eE+-]*")
DECODER = json.JSONDecoder()


class Next(Enum):
    """What comes next."""

    VALUE = auto()  # the one at `place`, which may have been begun
    KEY = auto()  # a key, which may have been begun
    ENTRY_OR_END = auto()
    END = auto()  # nothing: the document is complete


@dataclass(frozen=True)
class Frame:
    """A container that is open. `count`: its entries, with the one in progress."""

    path: Path
    count: int


@dataclass(frozen=True)
class Opening:
    """`written` is the document without what is in progress, except containers. `lead` is text to write first. `begun`
    is the text of a value or key in progress, after the quote if it is a string; None if there is none.
    """

    written: Any
    frames: tuple[Frame, ...]
    next: Next
    place: Path = ()
    begun: bytes | None = None
    is_string: bool = False
    lead: bytes = b""
    comma: bytes = b", "

    def with_key(self, key: str, lead: bytes) -> "Opening":
        """After the key, which `lead` has written up to the space after the colon."""
        *outer, frame = self.frames
        frame = Frame(frame.path, frame.count + 1)
        written = forget_entry(self.written, frame.path, key)
        return replace(
            self,
            written=written,
            frames=(*outer, frame),
            next=Next.VALUE,
            place=(*frame.path, key),
            begun=None,
            lead=lead,
            comma=b", ",
        )

    def is_fixed(self, path: Path) -> bool:
        """Whether the value at `path` is written as a whole."""
        for frame in reversed(self.frames):
            depth = len(frame.path)
            if path[:depth] == frame.path:
                if len(path) == depth or self.is_open(path[: depth + 1]):
                    return False
                return position(value_at(self.written, frame.path), path[depth]) is not None
        return False

    def is_open(self, path: Path) -> bool:
        """Whether the value at `path` is in progress, a container or a scalar, or comes next."""
        return any(path == frame.path for frame in self.frames) or (self.next is Next.VALUE and path == self.place)

    def open_inside(self, path: Path) -> list[Path]:
        """Of an open container, the entry that is in progress or comes next, if it is known."""
        inner = [frame.path for frame in self.frames] + ([self.place] if self.next is Next.VALUE else [])
        return [one for one in inner if len(one) == len(path) + 1 and one[: len(path)] == path]

    def frame_at(self, path: Path) -> Frame | None:
        return next((frame for frame in self.frames if frame.path == path), None)


def position(container: Any, key: str | int) -> int | None:
    """Of an entry; None if there is none."""
    if isinstance(container, dict):
        return next((place for place, known in enumerate(container) if known == key), None)
    return key if isinstance(container, list) and isinstance(key, int) and key < len(container) else None


def value_at(root: Any, path: Path) -> Any:
    for key in path:
        root = root[key]
    return root


def with_value(root: Any, path: Path, value: Any) -> Any:
    """A copy, along the path, in which `value` stands at it. A new entry becomes the last."""
    if not path:
        return value
    copy: Any
    if isinstance(root, dict):
        copy = dict(root)
        copy[path[0]] = with_value(root.get(path[0]), path[1:], value)
        return copy
    copy = list(root)
    place = int(path[0])
    if place == len(copy):
        copy.append(None)
    copy[place] = with_value(copy[place], path[1:], value)
    return copy


def forget_entry(root: Any, path: Path, key: str) -> Any:
    """Without an entry that is written a second time."""
    container = value_at(root, path)
    if key not in container:
        return root
    return with_value(root, path, {known: value for known, value in container.items() if known != key})


def read_opening(data: bytes) -> Opening:
    """Raises ValueError for a text that isn't the beginning of a document in the form of json.dumps."""
    try:
        text, tail = data.decode(), b""
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data":
            raise
        text, tail = data[: error.start].decode(), data[error.start :]
    return _Reader(text, tail).opening


class _Reader:
    def __init__(self, text: str, tail: bytes) -> None:
        self._text = text
        self._tail = tail
        self._holder: list[Any] = []
        self._containers: list[Any] = []
        self._keys: list[str | int] = []
        self._place = 0
        self.opening = self._read()

    def _read(self) -> Opening:
        found = self._value()
        while found is None:
            found = self._entry()
        if self._tail and found.begun is None:
            raise ValueError("half a character outside of a string")
        return found

    @property
    def _next(self) -> str:
        """The next character; empty at the end."""
        return self._text[self._place : self._place + 1]

    def _opening(self, following: Next, **given: Any) -> Opening:
        root = self._containers[0] if self._containers else (self._holder[0] if self._holder else None)
        frames = []
        is_inside = following is Next.VALUE
        for depth, container in enumerate(self._containers):
            is_last = depth == len(self._containers) - 1
            extra = 1 if is_last and is_inside else 0
            frames.append(Frame(tuple(self._keys[:depth]), len(container) + extra))
        return Opening(root, tuple(frames), following, **given)

    def _value(self) -> Opening | None:
        """Reads a value or the beginning of one at `_keys`; stops at the text's end."""
        start = self._next
        if not start:
            return self._opening(Next.VALUE, place=tuple(self._keys))
        if start == '"':
            return self._string()
        if start in LITERALS:
            return self._literal(*LITERALS[start])
        if start in "[{":
            return self._container(start)
        return self._number()

    def _container(self, start: str) -> Opening | None:
        try:
            value, self._place = DECODER.raw_decode(self._text, self._place)
        except ValueError:
            value = {} if start == "{" else []
            self._put(value)
            self._containers.append(value)
            self._place += 1
            return self._first()
        self._took(value)
        return None

    def _first(self) -> Opening | None:
        """At the beginning of a container that doesn't end in the text."""
        if not self._next and not self._tail:
            return self._opening(Next.ENTRY_OR_END, comma=b"")
        return self._begin_entry()

    def _begin_entry(self) -> Opening | None:
        container = self._containers[-1]
        if isinstance(container, list):
            self._keys.append(len(container))
            return self._value()
        if not self._next:
            return self._opening(Next.KEY, lead=b'"', begun=None, comma=b"")
        if self._next != '"':
            raise ValueError("a key has to begin with a quote")
        try:
            key, end = DECODER.raw_decode(self._text, self._place)
        except ValueError:
            return self._opening(Next.KEY, begun=self._raw(self._place + 1), is_string=True, comma=b"")
        self._place = end
        container.pop(key, None)
        self._keys.append(key)
        return self._punctuation(": ") or self._value()

    def _punctuation(self, wanted: str) -> Opening | None:
        """Reads it; at the text's end, returns the opening that writes the rest of it."""
        found = self._text[self._place : self._place + 2]
        if not wanted.startswith(found):
            raise ValueError(f"expected {wanted!r}")
        self._place += len(found)
        if found == wanted:
            return None
        rest = wanted[len(found) :].encode()
        return self._opening(Next.VALUE, place=tuple(self._keys), lead=rest)

    def _entry(self) -> Opening | None:
        """After a value: reads what closes containers, up to the next entry."""
        if not self._next:
            return self._opening(Next.ENTRY_OR_END if self._containers else Next.END)
        if not self._containers:
            raise ValueError("text after the document's end")
        found = self._text[self._place : self._place + 2]
        if not ", ".startswith(found):
            raise ValueError("expected a comma")
        self._place += len(found)
        if found == ", ":
            return self._begin_entry()
        if isinstance(self._containers[-1], list):
            self._keys.append(len(self._containers[-1]))
            return self._opening(Next.VALUE, place=tuple(self._keys), lead=b" ")
        return self._opening(Next.KEY, lead=b' "', comma=b"")

    def _string(self) -> Opening | None:
        try:
            value, self._place = DECODER.raw_decode(self._text, self._place)
        except ValueError:
            return self._begun(self._raw(self._place + 1), is_string=True)
        self._took(value)
        return None

    def _raw(self, start: int) -> bytes:
        raw = self._text[start:].encode() + self._tail
        if re.search(rb"[\x00-\x1f]", raw):
            raise ValueError("a control character in a string")
        return raw

    def _begun(self, raw: bytes, *, is_string: bool = False) -> Opening:
        return self._opening(Next.VALUE, place=tuple(self._keys), begun=raw, is_string=is_string)

    def _literal(self, text: str, value: Any) -> Opening | None:
        found = self._text[self._place : self._place + len(text)]
        if not text.startswith(found):
            raise ValueError("expected a literal")
        if found != text:
            return self._begun(found.encode())
        self._place += len(text)
        self._took(value)
        return None

    def _number(self) -> Opening | None:
        found = NUMBER.match(self._text, self._place)
        if not found or not found[0]:
            raise ValueError("expected a value")
        if found.end() == len(self._text):
            return self._begun(found[0].encode())
        self._place = found.end()
        self._took(json.loads(found[0]))
        return None

    def _put(self, value: Any) -> None:
        if not self._containers:
            self._holder.append(value)
        elif isinstance(self._containers[-1], list):
            self._containers[-1].append(value)
        else:
            self._containers[-1][self._keys[-1]] = value

    def _took(self, value: Any) -> None:
        self._put(value)
        if self._keys:
            self._keys.pop()
