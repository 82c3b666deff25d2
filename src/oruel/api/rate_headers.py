"""The x-ratelimit headers, as OpenAI names and writes them."""

from oruel.ledger.entries import Allowance, Opened

NAMES = tuple(
    f"x-ratelimit-{figure}-{unit}" for unit in ("requests", "tokens") for figure in ("limit", "remaining", "reset")
)


def rate_limit_headers(opened: Opened | None) -> dict[str, str]:
    """Empty for a key without limits per minute."""
    if opened is None:
        return {}
    return allowance_headers("requests", opened.requests) | allowance_headers("tokens", opened.tokens)


def allowance_headers(unit: str, allowance: Allowance | None) -> dict[str, str]:
    if allowance is None:
        return {}
    return {
        f"x-ratelimit-limit-{unit}": str(allowance.limit),
        f"x-ratelimit-remaining-{unit}": str(allowance.remaining),
        f"x-ratelimit-reset-{unit}": duration_text(allowance.reset),
    }


def duration_text(microseconds: int) -> str:
    """The duration in whole milliseconds, rounded up, as Go writes it: 0s, 12ms, 1.5s, 6m0s."""
    milliseconds = -(-microseconds // 1000)
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    seconds = f"{rest // 1000}.{rest % 1000:03}".rstrip("0").rstrip(".") if rest % 1000 else str(rest // 1000)
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
