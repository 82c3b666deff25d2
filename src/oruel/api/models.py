"""GET /v1/models and /v1/models/{id}: the names and aliases of the models that the key allows. GET /v1/parameters: the
declared parameters.
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oruel.api.record import record_of
from oruel.api.services import Endpoint, Services
from oruel.contract.parameters import PARAMETERS, USE_CASES
from oruel.router.catalog import ModelCard


def models_endpoint(services: Services) -> Endpoint:
    async def list_models(request: Request) -> Response:
        caller = record_of(request).caller
        named = [(name, services.catalog.resolve(name)) for name in services.catalog.names]
        allowed = [model_object(name, card, services) for name, card in named if caller.may_use_model(card.name)]
        return JSONResponse({"object": "list", "data": allowed})

    return list_models


def model_endpoint(services: Services) -> Endpoint:
    async def read_model(request: Request) -> Response:
        name = request.path_params["model"]
        card = services.catalog.resolve(name)
        record_of(request).caller.require_model(card.name)
        return JSONResponse(model_object(name, card, services))

    return read_model


def model_object(name: str, card: ModelCard, services: Services) -> dict[str, object]:
    """OpenAI's model object. `root` is the model that answers; `context_length` is in tokens."""
    window = services.windows.get(card.name)
    return {
        "id": name,
        "object": "model",
        "created": card.created,
        "owned_by": "oruel",
        "root": card.name,
        "context_length": window() if window else card.context,
        "vocabulary_size": card.vocabulary_size,
        "tiers": list(card.tiers),
        "chat_template": card.chat_template,
        "chat_template_kwargs": list(card.template_kwargs),
    }


async def list_parameters(request: Request) -> Response:
    return JSONResponse(
        {
            "object": "list",
            "data": [parameter.as_json() for parameter in PARAMETERS],
            "use_cases": [use_case.as_json() for use_case in USE_CASES],
        }
    )
