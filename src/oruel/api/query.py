"""Reads the query string of a request as an object of strings."""

from typing import Any

from starlette.requests import Request

from oruel.contract.kinds import Object, abbreviate
from oruel.errors import InvalidParameter


def read_query(request: Request, kind: Object) -> Any:
    """Raises InvalidParameter and UnknownParameter."""
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in given:
            shown = abbreviate(name)
            raise InvalidParameter(f"{shown} appears more than once in the query. Send it once.", param=shown)
        given[name] = value
    return kind.parse(given, "")


def query_parameters(kind: Object) -> list[dict[str, Any]]:
    """The parameters of the operation in the OpenAPI document."""
    return [
        {"name": name, "in": "query", "required": name in kind.required, "schema": field.schema()}
        for name, field in kind.fields.items()
    ]
