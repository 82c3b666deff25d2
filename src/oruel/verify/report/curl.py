"""A request as a curl command that repeats it."""

import json
import shlex
from typing import Any

from oruel.verify.report.presentable import KEY


def curl_command(url: str, request: dict[str, Any], *, keyed: bool) -> str:
    """For a POSIX shell. The key stays in the variable API_KEY."""
    text = json.dumps(request, ensure_ascii=False)
    # Invisible and reordering characters would be lost in copying.
    body = text if text.isprintable() else json.dumps(request)
    lines = [
        f"curl -sSN {shlex.quote(f'{url}/chat/completions')}",
        *([f'-H "Authorization: Bearer {KEY}"'] if keyed else []),
        "-H 'Content-Type: application/json'",
        f"-d {shlex.quote(body)}",
    ]
    return " \\\n  ".join(lines)
