"""Makes a report fit to be shown: without secrets, and with texts that every encoding can carry."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from oruel.verify.runner import Report, Result

KEY = "$API_KEY"
# A shorter secret is only replaced where it stands as a word: "1" or "none" must not garble an answer.
LONG = 8


def presentable(report: Report, *api_keys: str | None) -> Report:
    """A copy of the report. An endpoint may have repeated its key, or the password in its URL, in any answer."""
    secrets = [secret for secret in (*api_keys, password_of(report.url), password_of(report.against)) if secret]
    return dataclasses.replace(
        report,
        url=clean(report.url, secrets),
        model=clean(report.model, secrets),
        against=clean(report.against, secrets),
        against_model=clean(report.against_model, secrets),
        ended=clean(report.ended, secrets),
        facts=clean(report.facts, secrets),
        results=[Result(one.check, clean(one.verdict, secrets)) for one in report.results],
    )


def password_of(url: str) -> str | None:
    try:
        return urlsplit(url).password
    except ValueError:
        return None


def clean(value: Any, secrets: Sequence[str]) -> Any:
    """A copy of any value without the secrets and lone surrogates."""
    if type(value) is str:
        return hide(value, secrets).encode(errors="replace").decode()
    if isinstance(value, dict):
        return {clean(key, secrets): clean(one, secrets) for key, one in value.items()}
    if isinstance(value, list | tuple | frozenset):
        return type(value)(clean(one, secrets) for one in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return dataclasses.replace(value, **{one.name: clean(getattr(value, one.name), secrets) for one in fields})
    return value


def hide(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        pattern = re.escape(secret) if len(secret) >= LONG else rf"(?<!\w){re.escape(secret)}(?!\w)"
        text = re.sub(pattern, lambda _: KEY, text)
    return text
