"""What the server says once it listens."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Announcement:
    """`url` has no path, as in http://127.0.0.1:8000; `context` and `kv` are in tokens."""

    url: str
    model: str
    aliases: tuple[str, ...]
    context: int
    kv: int
    parallel: int
    needs_key: bool


def address(host: str, port: int) -> str:
    """A URL at which this machine reaches a server that listens on `host`."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
