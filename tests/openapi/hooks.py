"""Adapts the bodies that schemathesis sends: valid ones name the served model and ask for few tokens."""

from typing import Any

import schemathesis

MAX_TOKENS = 131072
FEW_TOKENS = 8
LIMITS = ("max_tokens", "max_completion_tokens")


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """Leaves invalid bodies invalid."""
    if isinstance(body, dict):
        if isinstance(body.get("model"), str) and 1 <= len(body["model"]) <= 256:
            body["model"] = "oruel-demo"
        if context.operation.path.endswith("/chat/completions"):
            limit_tokens(body)
    return body


def limit_tokens(body: dict[str, Any]) -> None:
    """Limits the answer, which could otherwise fill the context window and end in a meaningless 504."""
    for name in LIMITS:
        if type(body.get(name)) is int and FEW_TOKENS < body[name] <= MAX_TOKENS:
            body[name] = FEW_TOKENS
    if all(body.get(name) is None for name in LIMITS):
        body["max_tokens"] = FEW_TOKENS
