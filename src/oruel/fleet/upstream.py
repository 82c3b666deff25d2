"""An upstream server of the catalog, as a backend."""

import aiohttp

from oruel.backends.base import Backend
from oruel.backends.key_redaction import KeyRedaction
from oruel.backends.upstream import UpstreamBackend
from oruel.backends.within_context import WithinContext
from oruel.config import read_secret
from oruel.errors import ConfigError
from oruel.http.exchange import UpstreamTimeouts
from oruel.router.deployment import CatalogModel, Deployment, UpstreamSource
from oruel.router.upstream_key import upstream_key_fault


def build_upstream(
    session: aiohttp.ClientSession, model: CatalogModel, deployment: Deployment, source: UpstreamSource
) -> Backend:
    key = read_deployment_key(deployment.name, source.key_variable)
    upstream: Backend = UpstreamBackend(
        session,
        source.base_url,
        source.kind,
        model=model.name,
        upstream_model=source.model,
        key=key,
        timeouts=timeouts_of(deployment),
    )
    upstream = KeyRedaction(upstream, key) if key else upstream
    return upstream if model.context is None else WithinContext(upstream, model.context)


def timeouts_of(deployment: Deployment) -> UpstreamTimeouts:
    return UpstreamTimeouts(deployment.connect_seconds, deployment.first_token_seconds, deployment.idle_seconds)


def read_deployment_key(deployment: str, variable: str | None) -> str | None:
    """Raises ConfigError if the variable holds no key that can be sent. No message repeats a key."""
    if variable is None:
        return None
    key = read_secret(variable)
    if fault := upstream_key_fault(key):
        raise ConfigError(f"{deployment} takes its key from {variable}, which {fault}.")
    return key
