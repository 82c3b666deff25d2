"""What the server's log must say once it has ended."""

import json
from collections import Counter
from collections.abc import Iterable, Set
from typing import Any

from tests.soak.wrong import hold


def check_log(lines: Iterable[str], answered: Set[str]) -> None:
    """One line for each answered request, and no exception that nobody expected. Raises Wrong."""
    said: Counter[str] = Counter()
    for line in lines:
        hold("Traceback" not in line, f"in the log: {line[:3000]}")
        entry = parsed(line)
        if entry.get("event") == "request":
            said[entry["request_id"]] += 1
    odd = sorted(request for request in answered if said[request] != 1)
    hold(not odd, f"{len(odd)} answered requests have no line of their own in the log, such as {odd[:3]}")


def parsed(line: str) -> dict[str, Any]:
    """Nothing for what isn't a line of the log, such as the banner."""
    try:
        entry = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return entry if isinstance(entry, dict) else {}
