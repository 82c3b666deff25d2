"""The route to a vLLM with our plugin, which knows whether it can be used, and for what."""

from dataclasses import dataclass

from oruel.engine.vllm.engine import VLLMEngine
from oruel.errors import OruelError
from oruel.router.engine_route import EngineRoute
from oruel.types import ChatRequest


@dataclass(slots=True, kw_only=True)
class VLLMRoute(EngineRoute):
    """What the plugin of the vLLM behind `engine` can't do is refused. How many top_logprobs it reports is left to the
    request, whose error gives the number.
    """

    engine: VLLMEngine

    @property
    def problem(self) -> OruelError | None:
        return self.engine.problem

    def _refused(self, request: ChatRequest) -> list[str]:
        refused = EngineRoute._refused(self, request)
        if request.sampling.trace is not None or request.prefix:
            refused.append("trace")
        if (hello := self.engine.hello) and not hello.tokenizer:
            # The plugin found none, and so can't compute constraints.
            constrained = {"tools": request.calls_tools, "response_format": request.answers_json}
            refused += [name for name, is_asked in constrained.items() if is_asked and name not in refused]
        return refused
