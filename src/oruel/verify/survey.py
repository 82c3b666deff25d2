"""The first requests of a run: whether the endpoint can be used at all, and what it accepts."""

from typing import Any
from urllib.parse import urlsplit

from oruel.errors import VerifyFailed
from oruel.verify.endpoint import Endpoint
from oruel.verify.reading import error_message
from oruel.verify.reply import Facts, Json, Reply, as_count, as_object, as_text, objects_in

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
# About what all of this costs.
SURVEY_TOKENS = 500


async def survey(endpoint: Endpoint) -> Facts:
    """Raises VerifyFailed, with one clear line, if the endpoint can't be tested."""
    first = await endpoint.chat(max_tokens=4)
    refuses_max_tokens = first.status == 400 and first.names("max_completion_tokens")
    if refuses_max_tokens:
        # As OpenAI's models that think.
        endpoint.length_field = "max_completion_tokens"
        first = await endpoint.chat(max_tokens=4)
    check_usable(first, endpoint)
    top = 0
    for count in TOP_LOGPROBS:
        reply = await endpoint.chat(max_tokens=1, logprobs=True, top_logprobs=count)
        if reply.ok and reply.tokens() and reply.tokens()[0].top:
            top = count
            break
    token_fields = await fields_for_tokens(endpoint) if top else {}
    tried = {name: await endpoint.chat(**field(name, value)) for name, value in FIELDS.items()}
    answers = [first, *(reply for reply in tried.values() if reply.ok)]
    if not any(reply.whole_text for reply in answers):
        # The model may have nothing to say to a greeting.
        answers.append(await endpoint.chat(max_tokens=4, messages=[{"role": "user", "content": "Tell me a story."}]))
    shows_thoughts = any(reply.thoughts for reply in answers)
    hides_thoughts = not shows_thoughts and think_in_secret(answers)
    return Facts(
        top_logprobs=top,
        token_fields=token_fields,
        accepts=frozenset(name for name, reply in tried.items() if reply.ok),
        reasons=shows_thoughts or hides_thoughts,
        hides_thoughts=hides_thoughts,
        refuses_max_tokens=refuses_max_tokens,
        context=await context_length(endpoint),
        server=first.headers.get("server", ""),
    )


async def fields_for_tokens(endpoint: Endpoint) -> Json:
    """Some servers, such as llama-cpp-python's, report no tokens unless top_logprobs is sent too."""
    plain: Json = {"logprobs": True}
    reply = await endpoint.chat(max_tokens=1, **plain)
    return plain if reply.tokens() else plain | {"top_logprobs": 1}


def think_in_secret(answers: list[Reply]) -> bool:
    """Whether usage counts thoughts that aren't shown, or max_tokens ends every answer before its text."""
    counted = any(reply.counts_thoughts for reply in answers)
    return counted or all(reply.finish == "length" and not reply.text for reply in answers)


def field(name: str, value: Any) -> Json:
    """Some servers refuse max_tokens beside its other name."""
    length = {} if name == "max_completion_tokens" else {"max_tokens": 4}
    return {**length, name: value}


def check_usable(reply: Reply, endpoint: Endpoint) -> None:
    """Raises VerifyFailed with the likely cause."""
    if reply.ok:
        return
    url, said = endpoint.url, error_message(reply.body).rstrip(".")
    if isinstance(reply.body, str) and "<html" in reply.body[:1000].lower():
        raise VerifyFailed(f"{url} answered {reply.status} with a web page. {base_url_hint(url)}")
    match reply.status:
        case 200:
            raise VerifyFailed(f"{url} answered 200, but not with a chat completion: {said}.")
        case 301 | 302 | 303 | 307 | 308:
            raise VerifyFailed(f"{url} redirects to {reply.headers.get('location')}. Name the base URL there.")
        case 401 | 403:
            raise VerifyFailed(f"{url} asks for another key: {said}. Send one with --api-key.")
        case 404 if endpoint.model in reply.error_text or "model" in reply.error_text.lower():
            raise VerifyFailed(f"{url} has no model {endpoint.model}: {said}.")
        case 404 | 405:
            raise VerifyFailed(f"{url} has no /chat/completions: {said}. {base_url_hint(url)}")
        case _:
            raise VerifyFailed(f"{url} answered {reply.status} to a plain request: {said}.")


def base_url_hint(url: str) -> str:
    path = urlsplit(url).path.rstrip("/")
    return "Is it the API's base URL?" if path.endswith("/v1") else "Most base URLs end with /v1."


async def first_model(endpoint: Endpoint) -> str:
    """Raises VerifyFailed, with the likely cause, if the endpoint lists no model."""
    reply = await endpoint.raw("GET", "/models")
    for model in objects_in(as_object(reply.body).get("data")):
        if name := as_text(model.get("id")):
            return name
    if reply.status in (401, 403):
        check_usable(reply, endpoint)
    raise VerifyFailed(f"{endpoint.url} lists no models: status {reply.status}. Name one with --model.")


async def context_length(endpoint: Endpoint) -> int | None:
    """From the list of models, where servers report it under various names."""
    reply = await endpoint.raw("GET", "/models")
    for model in objects_in(as_object(reply.body).get("data")):
        if model.get("id") == endpoint.model:
            lengths = (
                model.get("context_length"),
                model.get("max_model_len"),
                as_object(model.get("meta")).get("n_ctx"),
            )
            return next((length for length in map(as_count, lengths) if length), None)
    return None
