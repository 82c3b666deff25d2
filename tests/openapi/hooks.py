"""What schemathesis sends: valid bodies name the model that is there, and ask for answers of a few tokens."""

from typing import Any

import schemathesis

MOST_TOKENS = 131072
FEW_TOKENS = 8
LIMITS = ("max_tokens", "max_completion_tokens")


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """What is invalid stays so."""
    if isinstance(body, dict):
        if isinstance(body.get("model"), str) and 1 <= len(body["model"]) <= 256:
            body["model"] = "oruel-demo"
        if context.operation.path.endswith("/chat/completions"):
            limit_tokens(body)
    return body


def limit_tokens(body: dict[str, Any]) -> None:
    """Without a limit an answer can be as long as the context window, and end with a 504 that shows nothing."""
    for name in LIMITS:
        if type(body.get(name)) is int and FEW_TOKENS < body[name] <= MOST_TOKENS:
            body[name] = FEW_TOKENS
    if all(body.get(name) is None for name in LIMITS):
        body["max_tokens"] = FEW_TOKENS
