"""GET /openapi.json: what every endpoint accepts and returns, derived from the declarations that validate requests and
encode answers.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oruel.api.account_objects import ACCOUNT_ANSWERS
from oruel.api.admin import ACCOUNT_BODY, CREDIT_BODY, KEY_BODY
from oruel.api.chat.body import CHAT_BODY
from oruel.api.chat.completion import ChatCompletion, ChatCompletionChunk
from oruel.api.deadline import HEADER, MAX_SECONDS
from oruel.api.failures import ErrorResponse, responses_schema
from oruel.api.idempotency import MAX_CHARACTERS
from oruel.api.services import Endpoint
from oruel.api.tokenize import TOKENIZE_BODY, TokenizeAnswer
from oruel.contract.kinds import JSONSchema
from oruel.contract.parameters import PARAMETERS, Parameter
from oruel.ledger.key_terms import TERMS

REFERENCE = "#/components/schemas/{name}"


def openapi_endpoint(api: FastAPI, *, needs_key: Callable[[], bool]) -> Endpoint:
    async def read_openapi(request: Request) -> Response:
        return JSONResponse(openapi_document(api, needs_key=needs_key()))

    return read_openapi


def openapi_document(api: FastAPI, *, needs_key: bool) -> dict[str, Any]:
    page = get_openapi(title=api.title, version=api.version, summary=api.summary, routes=api.routes)
    answers = (ChatCompletion, ChatCompletionChunk, ErrorResponse, TokenizeAnswer, *ACCOUNT_ANSWERS)
    _, shapes = msgspec.json.schema_components(answers, ref_template=REFERENCE)
    bodies = {"ChatRequest": chat_schema(), "TokenizeRequest": tokenize_schema(), **account_bodies()}
    page["components"] = {
        "schemas": {**bodies, **PLAIN_SCHEMAS, **shapes},
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
    }
    page["security"] = [{"key": []}] if needs_key else []
    return page


def account_bodies() -> dict[str, JSONSchema]:
    key = KEY_BODY.schema()
    described = {name: key["properties"][name] | {"description": term.summary} for name, term in TERMS.items()}
    return {
        "AccountRequest": ACCOUNT_BODY.schema(),
        "CreditRequest": CREDIT_BODY.schema(),
        "KeyRequest": key | {"properties": key["properties"] | described},
    }


def chat_schema() -> JSONSchema:
    """The schema of a chat body. It can't express every rule, such as that a named function has to be declared; those
    are checked by the server only.
    """
    schema = CHAT_BODY.schema()
    annotated = {p.name: schema["properties"][p.name] | annotations(p) for p in PARAMETERS}
    return schema | {"properties": schema["properties"] | annotated, "allOf": BETWEEN_FIELDS}


def tokenize_schema() -> JSONSchema:
    return TOKENIZE_BODY.schema() | {
        "oneOf": [field_schema("text", NOT_NULL), field_schema("messages", NOT_NULL)],
        "if": field_schema("chat_template_kwargs", NOT_NULL),
        "then": field_schema("messages", NOT_NULL),
    }


def field_schema(name: str, value: JSONSchema) -> JSONSchema:
    return {"required": [name], "properties": {name: value}}


NOT_NULL: JSONSchema = {"not": {"type": "null"}}
TRUE: JSONSchema = {"const": True}
BETWEEN_FIELDS: list[JSONSchema] = [
    {"if": field_schema("top_logprobs", {"type": "number", "minimum": 1}), "then": field_schema("logprobs", TRUE)},
    {"if": field_schema("stream_options", {"type": "object"}), "then": field_schema("stream", TRUE)},
    {
        "if": field_schema("tool_choice", {"anyOf": [{"const": "required"}, {"type": "object"}]}),
        "then": field_schema("tools", {"type": "array", "minItems": 1}),
    },
]
STRINGS = {"type": "array", "items": {"type": "string"}}
MODEL: JSONSchema = {
    "type": "object",
    "required": ["id", "object", "created", "owned_by", "root"],
    "properties": {
        "id": {"type": "string", "description": "A name to send as model in requests"},
        "object": {"const": "model"},
        "created": {"type": "integer", "description": "Unix time in seconds"},
        "owned_by": {"type": "string"},
        "root": {"type": "string", "description": "The model that answers"},
        "context_length": {"type": ["integer", "null"], "description": "In tokens; null if unknown"},
        "vocabulary_size": {"type": ["integer", "null"]},
        "tiers": STRINGS,
        "chat_template": {
            "enum": ["model", "chatml", None],
            "description": "model: the model's own; chatml: ChatML, since the model has none; null: unknown",
        },
        "chat_template_kwargs": STRINGS,
    },
}
HEALTH: JSONSchema = {
    "type": "object",
    "required": ["status", "restarts", "detail", "deployments"],
    "properties": {
        "status": {"enum": ["ok", "starting", "failed"]},
        "restarts": {"type": "integer", "description": "How often engine processes were restarted"},
        "detail": {"type": "string", "description": "What is wrong; empty if nothing is"},
        "deployments": {"type": "object", "additionalProperties": {"type": "boolean"}},
    },
}


USE_CASE: JSONSchema = {
    "type": "object",
    "required": ["name", "temperature", "top_p", "max_tokens", "other", "settings"],
    "properties": {
        **{name: {"type": "string"} for name in ("name", "temperature", "top_p", "max_tokens", "other")},
        "settings": {"type": "object", "description": "Fields of a request; the middle of a recommended range"},
    },
}


def listing(of: JSONSchema, **more: JSONSchema) -> JSONSchema:
    """A list in OpenAI's shape, with `more` beside it."""
    return {
        "type": "object",
        "required": ["object", "data", *more],
        "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": of}, **more},
    }


PLAIN_SCHEMAS: dict[str, JSONSchema] = {
    "Model": MODEL,
    "ModelList": listing(MODEL),
    "ParameterList": listing({"type": "object", "required": ["name"]}, use_cases={"type": "array", "items": USE_CASE}),
    "Health": HEALTH,
    "OpenAPI": {"type": "object", "required": ["openapi", "paths"]},
}


def annotations(parameter: Parameter) -> JSONSchema:
    note = (f"Default: {parameter.default_note}.",) if parameter.default_note else ()
    default = {} if parameter.default is None else {"default": parameter.default}
    return {"description": "\n\n".join((parameter.summary, *parameter.details, *note))} | default


def chat_operation() -> dict[str, Any]:
    return {
        "parameters": [timeout_header(), idempotency_header()],
        "requestBody": json_body("ChatRequest"),
        "responses": {
            "200": {
                "description": "The chat completion, whole or as server-sent events",
                "content": json_content("ChatCompletion") | {"text/event-stream": {"schema": EVENTS}},
            }
        }
        | responses_schema(400, 401, 402, 403, 404, 408, 409, 413, 415, 429, 431, 500, 502, 503, 504, 508),
    }


EVENTS: JSONSchema = {
    "type": "object",
    "description": "An event. Its data is a ChatCompletionChunk or an ErrorResponse as JSON; the last is [DONE].",
    "required": ["data"],
    "properties": {"data": {"type": "string"}},
}
EVERYWHERE = (400, 401, 403, 408, 431, 500, 503)


def json_operation(name: str) -> dict[str, Any]:
    return {"responses": {"200": {"description": name, "content": json_content(name)}} | responses_schema(*EVERYWHERE)}


def text_operation(description: str) -> dict[str, Any]:
    return {"responses": {"200": {"description": description}} | responses_schema(*EVERYWHERE)}


def model_operation() -> dict[str, Any]:
    named = {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    operation = json_operation("Model")
    return {"parameters": [named], "responses": operation["responses"] | responses_schema(404)}


def without_key(operation: dict[str, Any]) -> dict[str, Any]:
    """Returns the operation without the API key requirement."""
    responses = {status: response for status, response in operation["responses"].items() if status != "401"}
    return operation | {"security": [], "responses": responses}


def health_operation() -> dict[str, Any]:
    operation = json_operation("Health")
    unhealthy = {"description": "No model has a healthy deployment", "content": json_content("Health")}
    return {"responses": operation["responses"] | {"503": unhealthy}}


def timeout_header() -> dict[str, Any]:
    schema = {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_SECONDS}
    return {
        "name": HEADER,
        "in": "header",
        "description": "Time limit for the whole answer, in seconds. After it, the request fails with 504.",
        "schema": schema,
    }


def idempotency_header() -> dict[str, Any]:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A name for this request, chosen by the client. Within 24 hours, the same key and body give the "
        "answer of the first request again, and are charged once. A server without a ledger ignores it.",
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_CHARACTERS, "pattern": "^[ -~]+$"},
    }


def tokenize_operation() -> dict[str, Any]:
    return {
        "requestBody": json_body("TokenizeRequest"),
        "responses": {"200": {"description": "The tokens", "content": json_content("TokenizeAnswer")}}
        | responses_schema(400, 401, 403, 404, 408, 413, 415, 431, 500, 503, 504),
    }


def json_body(name: str) -> dict[str, Any]:
    return {"required": True, "content": json_content(name)}


def json_content(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": reference(name)}}


def reference(name: str) -> JSONSchema:
    return {"$ref": REFERENCE.format(name=name)}
