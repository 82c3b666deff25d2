"""Failed checks of an answer."""

from typing import TypeVar

import msgspec

Shape = TypeVar("Shape")


class CheckFailed(Exception):
    """Says how an answer differs from what it must be."""


def require(condition: bool, failure: str) -> None:
    """Raises CheckFailed unless the condition holds."""
    if not condition:
        raise CheckFailed(failure)


def decode(data: bytes, shape: type[Shape]) -> Shape:
    """Decodes JSON. Raises CheckFailed if it doesn't match the shape."""
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CheckFailed(f"invalid JSON: {error}: {data[:300]!r}") from None
