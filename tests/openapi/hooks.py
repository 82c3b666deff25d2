"""What schemathesis sends: valid bodies name the model that is there, and ask for answers of a few tokens."""

from typing import Any

import schemathesis

MOST_TOKENS = 131072


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """What is invalid stays so."""
    if isinstance(body, dict):
        if isinstance(body.get("model"), str) and 1 <= len(body["model"]) <= 256:
            body["model"] = "oruel-demo"
        for name in ("max_tokens", "max_completion_tokens"):
            if type(body.get(name)) is int and 8 < body[name] <= MOST_TOKENS:
                body[name] = 8
    return body
