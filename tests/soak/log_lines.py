"""Checks the server's log after it has ended."""

import json
from collections import Counter
from collections.abc import Iterable, Set
from typing import Any

from tests.soak.wrong import require


def check_log(lines: Iterable[str], answered: Set[str]) -> None:
    """Checks for exactly one line per answered request, and no traceback. Raises CheckFailed."""
    lines_of: Counter[str] = Counter()
    for line in lines:
        require("Traceback" not in line, f"a traceback in the log: {line[:3000]}")
        entry = parse_log_line(line)
        if entry.get("event") == "request":
            lines_of[entry["request_id"]] += 1
    odd = sorted(request for request in answered if lines_of[request] != 1)
    require(not odd, f"{len(odd)} answered requests without exactly one log line, such as {odd[:3]}")


def parse_log_line(line: str) -> dict[str, Any]:
    """Parses a log line. Empty for other output, such as the banner."""
    try:
        entry = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return entry if isinstance(entry, dict) else {}
