"""The key for another server, as an environment variable holds it."""

import re

MAX_CHARACTERS = 8192


def upstream_key_fault(key: str | None) -> str:
    """Why it can't be sent in a header, in words that follow the variable's name and never repeat the key; empty if it
    can be.
    """
    if not key:
        return "is not set"
    if len(key) > MAX_CHARACTERS:
        return f"holds more than {MAX_CHARACTERS} characters"
    if key.endswith(("\n", "\r")):
        return "ends with a line break, which belongs to no key"
    if not re.fullmatch("[!-~]+", key):
        return "contains a space or another character that no header can carry"
    return ""
