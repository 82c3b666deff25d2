"""Token ids of the model under test, where the endpoint has a way to ask for them."""

import json
from typing import Any
from urllib.parse import urljoin

from oruel.verify.endpoint import Endpoint


async def token_id(endpoint: Endpoint, text: str) -> int | None:
    """The id of the one token that `text` consists of; None if it's several, or if the endpoint doesn't tokenize."""
    ids = await tokenize(endpoint, text)
    return ids[0] if ids and len(ids) == 1 else None


async def tokenize(endpoint: Endpoint, text: str) -> list[int] | None:
    """Asks /tokenize at the server's root and below the base URL, in the words of Oru'el, vLLM, llama.cpp and TGI."""
    bodies = (
        {"model": endpoint.model, "text": text},
        {"model": endpoint.model, "prompt": text, "add_special_tokens": False},
        {"content": text, "add_special": False},
        {"inputs": text},
    )
    for path in (urljoin(f"{endpoint.url}/", "/tokenize"), "/tokenize"):
        for body in bodies:
            reply = await endpoint.raw("POST", path, json.dumps(body).encode())
            if reply.status == 404:
                break
            if reply.status == 200 and (ids := ids_of(reply.body)):
                return ids
    return None


def ids_of(body: Any) -> list[int]:
    """Reads {"tokens": [1, …]}, {"tokens": [{"id": 1}, …]} and [{"id": 1}, …]."""
    tokens = body.get("tokens") if isinstance(body, dict) else body
    if not isinstance(tokens, list):
        return []
    ids = [one.get("id") if isinstance(one, dict) else one for one in tokens]
    return [one for one in ids if isinstance(one, int)]
