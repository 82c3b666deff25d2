"""A whole document that begins with an opening, and copies of it with other values where it is free."""

import json
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from oruel.constraints.completion.opening import Next, Opening, Path, value_at, with_value


@dataclass(frozen=True)
class Candidate:
    """`root` is the document. `end` is the rest of the value in progress."""

    opening: Opening
    root: Any
    end: bytes = b""

    def text(self) -> bytes:
        """What follows the opening."""
        opening = self.opening
        parts = [opening.lead]
        separator = opening.comma
        if opening.next is Next.VALUE:
            begins = opening.begun is None
            parts.append(written(value_at(self.root, opening.place)) if begins else self.end)
            separator = b", "
        for frame in reversed(opening.frames):
            container = value_at(self.root, frame.path)
            missing = rest_of(container, frame.count)
            parts += [separator, written(missing)[1:-1]] if missing else []
            parts.append(b"}" if isinstance(container, dict) else b"]")
            separator = b", "
        return b"".join(parts)

    def at(self, path: Path) -> Any:
        return value_at(self.root, path)

    def with_value(self, path: Path, value: Any) -> "Candidate":
        return replace(self, root=with_value(self.root, path, value))

    def with_end(self, end: bytes, value: Any) -> "Candidate":
        """With another rest of the value in progress."""
        return replace(self, root=with_value(self.root, self.opening.place, value), end=end)

    def fixed_count(self, path: Path) -> int:
        """How many entries of the container at `path` are written or in progress."""
        frame = self.opening.frame_at(path)
        return frame.count if frame else 0

    def head(self, path: Path) -> Any:
        """The container at `path` with only those entries that are written or in progress."""
        container = self.at(path)
        count = self.fixed_count(path)
        if isinstance(container, dict):
            return dict(islice(container.items(), count))
        return container[:count]


def rest_of(container: Any, count: int) -> Any:
    """Its entries after the first `count`."""
    return dict(islice(container.items(), count, None)) if isinstance(container, dict) else container[count:]


def written(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode(errors="replace")
