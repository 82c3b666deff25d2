"""Removes the API key of another server from errors, since some servers quote the key that they reject."""

from oruel.errors import OruelError, UpstreamFailed

PLACEHOLDER = "[key]"
# A shorter prefix of a key reveals little, and may be an ordinary word.
MIN_PREFIX = 4


def redact_error(error: OruelError, key: str) -> None:
    """The error's cause may contain the key, too: raise the error from None."""
    error.message = redact_key(error.message, key)
    error.param = redact_key(error.param, key) if error.param else None
    error.args = (error.message,)
    if isinstance(error, UpstreamFailed):
        error.detail = redact_key(error.detail, key)


def redact_key(text: str, key: str) -> str:
    """Replaces the key. Also replaces a prefix of it at the end of the text, where the text may have been truncated."""
    text = text.replace(key, PLACEHOLDER)
    truncated = text.removesuffix("…")
    for length in range(min(len(key), len(truncated)), MIN_PREFIX - 1, -1):
        if truncated.endswith(key[:length]):
            return f"{truncated[:-length]}{PLACEHOLDER}"
    return text
