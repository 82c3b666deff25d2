"""One request to a stub of an upstream server, and its answer."""

from oruel.backends.upstream import UpstreamBackend
from oruel.http.exchange import UpstreamTimeouts, upstream_client
from oruel.types import ChatRequest, Delta, Message, SamplingParams, UpstreamKind
from tests.fakes import deltas_of
from tests.stub_server import Stub

REQUEST = ChatRequest("id", "mine", (Message("user", "Hello"),), SamplingParams(reproducible=False), max_tokens=20)
QUICK = UpstreamTimeouts(connect=1.0, first_token=0.3, idle=0.3)


async def answer(
    stub: Stub, request: ChatRequest = REQUEST, kind: UpstreamKind = "vllm", key: str | None = None
) -> list[Delta]:
    async with upstream_client() as client:
        backend = UpstreamBackend(
            client, stub.base_url, kind, model="mine", upstream_model="theirs", key=key, timeouts=QUICK
        )
        return await deltas_of(backend.stream(request))


def text(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)
