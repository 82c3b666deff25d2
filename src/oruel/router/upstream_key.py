"""Validates the API key of an upstream server."""

import re

MAX_CHARACTERS = 8192


def upstream_key_fault(key: str | None) -> str:
    """Why the key can't be sent in a header, as the end of a sentence about its environment variable; empty if it can.
    Never repeats the key.
    """
    if not key:
        return "is not set"
    if len(key) > MAX_CHARACTERS:
        return f"has more than {MAX_CHARACTERS} characters"
    if key.endswith(("\n", "\r")):
        return "ends with a line break"
    if not re.fullmatch("[!-~]+", key):
        return "contains a space or another character that is invalid in a header"
    return ""
