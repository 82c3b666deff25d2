"""Validates the base URL of an upstream server, before a request is sent to it."""

import re
from dataclasses import dataclass

from yarl import URL

from oruel.contract.kinds import JSONSchema
from oruel.errors import InvalidParameter

MAX_CHARACTERS = 2048
HOST = r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%[A-Za-z0-9._-]+)?"


@dataclass(frozen=True)
class BaseURL:
    """Uses the HTTP client's own parser. Errors never repeat the value, which may contain a password."""

    def parse(self, value: object, path: str) -> str:
        """Returns the URL without trailing slashes."""
        fault = base_url_fault(value)
        if fault:
            raise InvalidParameter(f"{path} must be {self}. The given URL {fault}", param=path)
        return str(value).rstrip("/")

    def schema(self) -> JSONSchema:
        return {"type": "string", "format": "uri", "maxLength": MAX_CHARACTERS}

    def __str__(self) -> str:
        return "the base URL of an OpenAI-compatible API, such as http://10.0.0.5:8000/v1"


def base_url_fault(value: object) -> str:
    """What is wrong with the URL, as the end of a sentence that begins with "The given URL"; empty if nothing is."""
    if not isinstance(value, str) or not re.fullmatch(f"https?://[!-~]{{1,{MAX_CHARACTERS - 8}}}", value):
        return "doesn't begin with http:// or https://, is too long, or contains spaces or other invalid characters."
    try:
        url = URL(value)
    except ValueError:
        return "has no valid host and port."
    if "@" in value.split("/")[2]:
        return "contains a user name or password, which logs would show. Use key_variable for the key."
    if not re.fullmatch(HOST, url.raw_host or "") or url.explicit_port == 0:
        return "has no valid host and port."
    if "?" in value or "#" in value:
        return "has a query or a fragment. Remove it: paths are appended to the URL."
    return path_fault(url.raw_path)


def path_fault(path: str) -> str:
    if path.strip("/") == "":
        return "has no path. Most servers have their API under /v1: add it."
    if re.search("/completions/*$", path):
        return "ends with the path of an endpoint. Remove what follows /v1: /chat/completions is appended."
    return ""
