"""Reads what another server says about an error. Nothing in it can be trusted."""

import json
from typing import Any

from oruel.contract.kinds import abbreviate

MAX_RETRY_AFTER = 3600
MAX_CHARACTERS = 400
# Longer numbers exceed the maximum anyway, and int() refuses thousands of digits.
MAX_DIGITS = 18


def parse_error(body: bytes) -> dict[str, Any]:
    """Returns OpenAI's error object. Accepts it without its envelope, as SGLang sends it, and text as its message."""
    text = body.decode(errors="replace")
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return {"message": text}
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else parsed
    return error if isinstance(error, dict) else {"message": error}


def parse_retry_after(retry_after: str) -> int:
    """Returns seconds, from 1 to MAX_RETRY_AFTER. A date or an empty value counts as 1."""
    if not (retry_after.isascii() and retry_after.isdigit()):
        return 1
    return min(max(1, int(retry_after)), MAX_RETRY_AFTER) if len(retry_after) <= MAX_DIGITS else MAX_RETRY_AFTER


def one_line(text: object) -> str:
    return abbreviate(replace_unprintable(" ".join(str(text).split())), MAX_CHARACTERS)


def replace_unprintable(text: str) -> str:
    """Replaces control characters and surrogates, which terminals or JSON can't show, by question marks."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)
