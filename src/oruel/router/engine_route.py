"""The route to an embedded engine of a model whose other deployments may support more."""

from dataclasses import dataclass

from oruel.backends.abilities import ParameterSupport
from oruel.router.route import Route
from oruel.types import ChatRequest


@dataclass(slots=True, kw_only=True)
class EngineRoute(Route):
    """The engine supports JSON if `writes_json`, tools if `calls_tools`, and the token ids below `vocabulary_size`."""

    vocabulary_size: int
    writes_json: bool
    calls_tools: bool

    def verdict(self, request: ChatRequest) -> ParameterSupport:
        return ParameterSupport(refused=tuple(self._refused(request)))

    def _refused(self, request: ChatRequest) -> list[str]:
        refused = []
        has_called = any(message.tool_calls or message.role == "tool" for message in request.messages)
        if not self.calls_tools and (has_called or request.calls_tools):
            refused.append("tools" if request.tools else "messages")
        if not self.writes_json and request.answers_json:
            refused.append("response_format")
        if max(request.sampling.logit_bias, default=0) >= self.vocabulary_size:
            refused.append("logit_bias")
        return refused
