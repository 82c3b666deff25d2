"""Errors for requests that no deployment of the model supports."""

from collections.abc import Sequence

from oruel.errors import UnsupportedParameter
from oruel.router.route import Route
from oruel.types import ChatRequest


def unserved_error(request: ChatRequest, routes: Sequence[Route]) -> UnsupportedParameter:
    """Names the unsupported parameters of the deployment that has the fewest of them."""
    blocking = [blocking_parameters(request, route) for route in routes if request.tier in route.deployment.tiers]
    return unsupported_error(min(blocking, key=len, default=("tier",)), request.model)


def blocking_parameters(request: ChatRequest, route: Route) -> tuple[str, ...]:
    """The parameters that the deployment doesn't support, or honours differently without the operator's acceptance."""
    support = route.verdict(request)
    return (*support.refused, *(name for name in support.differs if name not in route.deployment.accepts))


def unsupported_error(names: Sequence[str], model: str) -> UnsupportedParameter:
    return UnsupportedParameter(
        f"{' and '.join(names)} can't be honoured exactly by any deployment of {model}. Leave "
        f"{'it' if len(names) == 1 else 'them'} out, or choose another model.",
        param=names[0],
    )
