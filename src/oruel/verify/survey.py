"""The first requests of a run: whether the endpoint can be used at all, and what it accepts."""

from typing import Any

from oruel.errors import VerifyFailed
from oruel.verify.endpoint import Endpoint
from oruel.verify.reply import Facts, Json, Reply

# Tried one by one, each with a value that changes nothing.
FIELDS: dict[str, Any] = {
    "top_p": 1,
    "top_k": 0,
    "min_p": 0,
    "seed": 1,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "repetition_penalty": 1,
    "n": 1,
    "stop": ["\u241e"],
    "logit_bias": {},
    "max_completion_tokens": 4,
    "tier": "standard",
    "service_tier": "auto",
}
TOP_LOGPROBS = (20, 10, 5)


async def survey(endpoint: Endpoint) -> Facts:
    """Raises VerifyFailed, with one clear line, if the endpoint can't be tested."""
    first = await endpoint.chat(max_tokens=4)
    check_usable(first, endpoint)
    top = 0
    for count in TOP_LOGPROBS:
        reply = await endpoint.chat(max_tokens=1, logprobs=True, top_logprobs=count)
        if reply.ok and reply.tokens() and reply.tokens()[0].top:
            top = count
            break
    accepts = [name for name, value in FIELDS.items() if (await endpoint.chat(**field(name, value))).ok]
    message = first.choices[0].get("message") or {}
    return Facts(
        top_logprobs=top,
        accepts=frozenset(accepts),
        reasons=bool(message.get("reasoning_content") or message.get("reasoning")),
        context=await context_length(endpoint),
        server=first.headers.get("server", ""),
    )


def field(name: str, value: Any) -> Json:
    """Some servers refuse max_tokens beside its other name."""
    length = {} if name == "max_completion_tokens" else {"max_tokens": 4}
    return {**length, name: value}


def check_usable(reply: Reply, endpoint: Endpoint) -> None:
    if reply.ok:
        return
    said = reply.error.get("message") or reply.error_text[:200]
    if isinstance(reply.body, str) and "<html" in reply.body.lower():
        raise VerifyFailed(f"{endpoint.url} answered {reply.status} with a web page. Is this the API's base URL?")
    match reply.status:
        case 401 | 403:
            raise VerifyFailed(f"{endpoint.url} requires a key: {said} Send one with --api-key.")
        case 404:
            raise VerifyFailed(f"{endpoint.url} answered 404 for the model {endpoint.model}: {said}")
        case _:
            raise VerifyFailed(f"{endpoint.url} answered {reply.status} to a plain request: {said}")


async def context_length(endpoint: Endpoint) -> int | None:
    """From the list of models, where servers report it under various names."""
    reply = await endpoint.raw("GET", "/models")
    listed = reply.body.get("data") if isinstance(reply.body, dict) else None
    for model in listed or []:
        if isinstance(model, dict) and model.get("id") == endpoint.model:
            meta = model.get("meta") or {}
            found = model.get("context_length") or model.get("max_model_len") or meta.get("n_ctx")
            return found if isinstance(found, int) else None
    return None
