"""Everything of `oruel serve` but its processes and its socket, in front of stubs of vLLM."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from oruel.api.routes import create_api
from oruel.app import build_services, health
from oruel.bookkeeping import open_books
from oruel.engine.vllm.wire import RowRequest
from oruel.fleet.fleet import Fleet
from oruel.fleet.running import RunningModel
from oruel.jobs.messages import HuggingFaceTokenizer
from oruel.jobs.server import load_tokenizer
from oruel.ledger.administration import Administration
from oruel.ledger.key_terms import KeyTerms
from oruel.router.catalog_file import read_catalog
from oruel.settings import Settings
from tests.asgi import InProcess
from tests.engine.vllm.behind_oruel import catalog_text, deployment
from tests.engine.vllm.stub_vllm import StubVLLM
from tests.fakes import InProcessJobs, until

Script = Callable[[RowRequest], Sequence[int]]
Says = Callable[[str], Script]
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]


@dataclass
class Front:
    client: httpx2.AsyncClient
    model: RunningModel
    administration: Administration | None

    async def ask(self, **fields: Any) -> httpx2.Response:
        key = fields.pop("key", None)
        headers = {"authorization": f"Bearer {key}"} if key else {}
        asked = {"model": "m", "messages": HELLO, "max_tokens": 50, **fields}
        return await self.client.post("/v1/chat/completions", json=asked, headers=headers)

    async def error(self, **fields: Any) -> tuple[int, str, str]:
        """The status, code and message of a request that fails."""
        answer = await self.ask(**fields)
        error = answer.json()["error"]
        return answer.status_code, error["code"], error["message"]

    async def text(self, **fields: Any) -> str:
        answer = await self.ask(**fields)
        assert answer.status_code == 200, answer.text
        content: str = answer.json()["choices"][0]["message"]["content"]
        return content

    async def health(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.client.get("/health")).json()
        return found

    async def metrics(self) -> str:
        return (await self.client.get("/metrics")).text

    async def until_up(self, name: str) -> None:
        await until(lambda: health([self.model]).deployments[name])

    async def until_down(self, name: str) -> None:
        """Until it is known why it can't be used."""
        await until(lambda: self.model.engines[name].status == "failed")

    def add_key(self, account: str) -> str:
        assert self.administration
        self.administration.create_account(account, None)
        return self.administration.create_key(account, KeyTerms())[1]


@asynccontextmanager
async def front(
    folder: Path,
    *stubs: StubVLLM,
    deployments: Sequence[str] = (),
    lines: Sequence[str] = (),
    model: str = "",
    **settings: Any,
) -> AsyncIterator[Front]:
    """One model "m" with a deployment vllm0, vllm1, … for each stub, each with the `lines`, and further `deployments`.
    `model` are lines of the model.
    """
    given = Settings(catalog="catalog.toml", **{"store": None, **settings})
    named = [deployment(f"vllm{number}", stub.root, folder, *lines) for number, stub in enumerate(stubs)]
    (catalog,) = read_catalog(catalog_text(*named, *deployments, settings=model).encode()).models
    jobs = InProcessJobs()
    async with AsyncExitStack() as resources:
        books = await open_books(given, [catalog], resources)
        started = await Fleet(given, {str(folder): folder}, jobs, resources).start(catalog)
        jobs.tokenizers = {str(folder): load_tokenizer(HuggingFaceTokenizer(str(folder), False))}
        transport = InProcess(create_api(build_services(given, [started], jobs, books)))
        client = httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=20)
        yield Front(await resources.enter_async_context(client), started, books.administration)


def events_of(text: str) -> list[dict[str, Any]]:
    """The events of a stream, without [DONE]."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]
