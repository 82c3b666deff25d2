"""What the server announces when it starts to listen."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Announcement:
    """`url` has no path, as in http://127.0.0.1:8000. `context` is the first model's context window in tokens. `kv` (in
    tokens) and `parallel` are sums over all engines, 0 if there are none. `others` are the names of further models.
    `threads` holds a pair for each engine: its compute threads, and the cores that they may use, or 0 if the number of
    threads is fixed. `playground`: whether the playground is served. `store`: where the ledger is, None without one.
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
    playground: bool = True
    store: str | None = None
