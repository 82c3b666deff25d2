"""GET /openapi.json: what every endpoint takes and gives, derived from the declarations that validate and answer."""

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oruel.api.chat_body import CHAT_BODY
from oruel.api.completion import ChatCompletion, ChatCompletionChunk
from oruel.api.deadline import HEADER, MAX_SECONDS
from oruel.api.failures import ErrorResponse, responses_schema
from oruel.api.services import Endpoint
from oruel.api.tokenize import TOKENIZE_BODY, TokenizeAnswer
from oruel.kinds import JSONSchema
from oruel.parameters import PARAMETERS, Parameter

REFERENCE = "#/components/schemas/{name}"


def openapi_endpoint(api: FastAPI) -> Endpoint:
    async def read_openapi(request: Request) -> Response:
        return JSONResponse(document(api))

    return read_openapi


def document(api: FastAPI) -> dict[str, Any]:
    page = get_openapi(title=api.title, version=api.version, summary=api.summary, routes=api.routes)
    answers = (ChatCompletion, ChatCompletionChunk, ErrorResponse, TokenizeAnswer)
    _, shapes = msgspec.json.schema_components(answers, ref_template=REFERENCE)
    page["components"] = {
        "schemas": {"ChatRequest": chat_schema(), "TokenizeRequest": TOKENIZE_BODY.schema(), **shapes},
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
    }
    # Either nothing or a key, as the operator chose.
    page["security"] = [{}, {"key": []}]
    return page


def chat_schema() -> JSONSchema:
    schema = CHAT_BODY.schema()
    stated = {p.name: schema["properties"][p.name] | annotations(p) for p in PARAMETERS}
    return schema | {"properties": schema["properties"] | stated}


def annotations(parameter: Parameter) -> JSONSchema:
    note = (f"Default: {parameter.default_note}.",) if parameter.default_note else ()
    default = {} if parameter.default is None else {"default": parameter.default}
    return {"description": "\n\n".join((parameter.summary, *parameter.details, *note))} | default


def chat_operation() -> dict[str, Any]:
    return {
        "parameters": [timeout_header()],
        "requestBody": json_body("ChatRequest"),
        "responses": {
            "200": {
                "description": "The answer, whole or as server-sent events",
                "content": json_content("ChatCompletion")
                | {"text/event-stream": {"schema": reference("ChatCompletionChunk")}},
            }
        }
        | responses_schema(400, 401, 403, 404, 413, 415, 500, 503, 504),
    }


def timeout_header() -> dict[str, Any]:
    schema = {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_SECONDS}
    return {"name": HEADER, "in": "header", "description": "Seconds for the whole answer; 504 after", "schema": schema}


def tokenize_operation() -> dict[str, Any]:
    return {
        "requestBody": json_body("TokenizeRequest"),
        "responses": {"200": {"description": "The tokens", "content": json_content("TokenizeAnswer")}}
        | responses_schema(400, 401, 403, 404, 413, 415, 500),
    }


def json_body(name: str) -> dict[str, Any]:
    return {"required": True, "content": json_content(name)}


def json_content(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": reference(name)}}


def reference(name: str) -> JSONSchema:
    return {"$ref": REFERENCE.format(name=name)}
