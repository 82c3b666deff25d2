"""What the server says once it listens."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Announcement:
    """`url` has no path, as in http://127.0.0.1:8000; `context`, the first model's, and `kv` are in tokens. `kv` and
    `parallel` are those of all engines, 0 where there are none. `others` are the names of further models. `threads`
    holds for each engine the threads that compute, and the cores that they are chosen from, 0 for a fixed number.
    """

    url: str
    model: str
    aliases: tuple[str, ...]
    context: int | None
    kv: int
    parallel: int
    needs_key: bool
    others: tuple[str, ...] = ()
    threads: tuple[tuple[int, int], ...] = ()
