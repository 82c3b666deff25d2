"""What is raised where an answer isn't what it had to be."""

from typing import TypeVar

import msgspec

Shape = TypeVar("Shape")


class Wrong(Exception):
    """What a reply was, against what it had to be."""


def hold(condition: bool, what: str) -> None:
    """Raises Wrong unless the condition holds."""
    if not condition:
        raise Wrong(what)


def decode(data: bytes, shape: type[Shape]) -> Shape:
    """Raises Wrong for what isn't JSON of this shape."""
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Wrong(f"out of shape, {error}: {data[:300]!r}") from None
