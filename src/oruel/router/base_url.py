"""Checks the address of another server before the first request is sent to it."""

import re
from dataclasses import dataclass

from yarl import URL

from oruel.contract.kinds import JSONSchema
from oruel.errors import InvalidParameter

MAX_CHARACTERS = 2048
HOST = r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%[A-Za-z0-9._-]+)?"


@dataclass(frozen=True)
class BaseURL:
    """Parsed with the HTTP client's own parser. Errors never repeat the value, which may contain a password."""

    def parse(self, value: object, path: str) -> str:
        """The URL without trailing slashes."""
        fault = base_url_fault(value)
        if fault:
            raise InvalidParameter(f"{path} must be {self}; {fault}", param=path)
        return str(value).rstrip("/")

    def schema(self) -> JSONSchema:
        return {"type": "string", "format": "uri", "maxLength": MAX_CHARACTERS}

    def __str__(self) -> str:
        return "the URL under which a server has its API, such as http://10.0.0.5:8000/v1"


def base_url_fault(value: object) -> str:
    """What is wrong, in words; empty if nothing is."""
    if not isinstance(value, str) or not re.fullmatch(f"https?://[!-~]{{1,{MAX_CHARACTERS - 8}}}", value):
        return "this one doesn't begin with http:// or https://, is too long, or contains spaces or other characters."
    try:
        url = URL(value)
    except ValueError:
        return "this one has no host and port that can be read."
    if "@" in value.split("/")[2]:
        return "this one contains a user or password, which would be shown. Give the key with key_variable."
    if not re.fullmatch(HOST, url.raw_host or "") or url.explicit_port == 0:
        return "this one has no host and port that can be read."
    if "?" in value or "#" in value:
        return "this one has a query or a fragment, after which no path can be added."
    return path_fault(url.raw_path)


def path_fault(path: str) -> str:
    if path.strip("/") == "":
        return "this one has no path. Most servers have their API under /v1: add it."
    if re.search("/completions/*$", path):
        return "this one goes too far: what follows its /v1, such as /chat/completions, is added to it. Leave it out."
    return ""
