"""The whole API over scripted upstream servers, with a real ledger: everything of `oruel serve` but its processes and
its socket.
"""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2
from sqlalchemy import select

from oruel.api.routes import create_api
from oruel.app import build_services
from oruel.bookkeeping import Books, open_books
from oruel.fleet.fleet import Fleet, run_concurrently
from oruel.ledger.administration import Administration
from oruel.ledger.database import Database
from oruel.ledger.key_terms import KeyTerms
from oruel.ledger.tables import accounts, requests, spending
from oruel.router.catalog_file import read_catalog
from oruel.settings import HiddenText, Settings
from oruel.types import Answer, ChatRequest, Delta
from tests.asgi import InProcess
from tests.fakes import InProcessJobs, until
from tests.stub_server import HEAD, Part, Stub, chunk, event, stub_server

CHAT = "/v1/chat/completions"
USD = 10**12
SECRET = "the secret of the tests of the ledger"

# 1 USD per million input tokens, 0.1 for cached ones, 2 for output; turbo costs twice as much.
PRICES = """
prices.standard = { input = 1, cached_input = 0.1, output = 2 }
prices.turbo = { input = 2, cached_input = 0.2, output = 4 }
"""
# What the operator pays per million tokens, of any kind, at the first deployment and at the second.
COSTS = ("0.25", "0.5")


def price_of(prompt: int, completion: int, cached: int = 0) -> int:
    """In units, on the tier standard."""
    return (prompt - cached) * 1_000_000 + cached * 100_000 + completion * 2_000_000


def cost_of(tokens: int, deployment: int = 0) -> int:
    return tokens * (250_000, 500_000)[deployment]


def catalog_text(urls: list[str], kind: str) -> str:
    """The models "m" and "free", which every upstream server has."""
    models = {"m": f'aliases = ["vendor/alias"]\n{PRICES}', "free": ""}
    return "\n".join(
        f'[[models]]\nname = "{name}"\n{more}\n'
        + "\n".join(
            f'[[models.deployments]]\nname = "{name}{number}"\nbase_url = "{url}"\nkind = "{kind}"\n'
            f'model = "x"\ncost = {{ input = {COSTS[number]}, output = {COSTS[number]} }}'
            for number, url in enumerate(urls)
        )
        for name, more in models.items()
    )


def reported(prompt: int, completion: int, cached: int = 0) -> dict[str, Any]:
    details = {"cached_tokens": cached}
    return {"prompt_tokens": prompt, "completion_tokens": completion, "prompt_tokens_details": details}


def usage_event(prompt: int, completion: int, cached: int = 0, **more: Any) -> bytes:
    return event({"choices": [], "usage": reported(prompt, completion, cached), **more})


def answering(prompt: int = 100, completion: int = 20, cached: int = 40) -> list[Part]:
    """A whole answer."""
    finish = chunk("Hello"), chunk(finish="stop")
    return [HEAD, *finish, usage_event(prompt, completion, cached), b"data: [DONE]\n\n"]


PRICE = price_of(100, 20, 40)
"""Of answering()."""


class WatchedBackend:
    """Counts the deltas that have reached the API."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.deltas = 0

    async def stream(self, request: ChatRequest) -> Answer:
        async with AsyncExitStack() as resources:
            answer = self._backend.stream(request)
            resources.push_async_callback(answer.aclose)
            async for item in answer:
                self.deltas += isinstance(item, Delta)
                yield item


@dataclass
class Gateway:
    """One server. Another one over the same store is another process as far as the store can tell."""

    api: Any
    books: Books
    store: Database
    backend: WatchedBackend
    stubs: list[Stub]
    clients: list[httpx2.AsyncClient] = field(default_factory=list)

    @property
    def administration(self) -> Administration:
        assert self.books.administration
        return self.books.administration

    @property
    def stub(self) -> Stub:
        return self.stubs[0]

    def add_key(self, account: str = "ada", *, credit: int | None = None, **terms: Any) -> str:
        """A new key of the account, which is made if there is none."""
        if account not in {known.name for known in self.administration.list_accounts()}:
            self.administration.create_account(account, credit)
        return self.administration.create_key(account, KeyTerms(**terms))[1]

    def client(self, key: str | None = None, **headers: str) -> httpx2.AsyncClient:
        bearer = {"authorization": f"Bearer {key}"} if key else {}
        transport = InProcess(self.api)
        self.clients.append(
            httpx2.AsyncClient(transport=transport, base_url="http://localhost", headers=bearer | headers, timeout=20)
        )
        return self.clients[-1]

    def rows(self) -> list[Any]:
        """The ledger, in order of the requests' beginnings."""
        with self.store.reading() as connection:
            return list(connection.execute(select(requests).order_by(requests.c.created, requests.c.id)))

    async def settled(self, count: int) -> list[Any]:
        """The ledger, once it has so many rows, all of them settled."""
        await until(lambda: len(rows := self.rows()) == count and all(row.status for row in rows))
        return self.rows()

    def balance(self, account: str = "ada") -> int | None:
        with self.store.reading() as connection:
            found: int | None = connection.execute(
                select(accounts.c.balance).where(accounts.c.name == account)
            ).scalar_one()
            return found

    def spent(self) -> dict[str, int]:
        """By period, over all keys."""
        with self.store.reading() as connection:
            return {row.period: row.spent for row in connection.execute(select(spending))}


@asynccontextmanager
async def gateway(location: str, *stubs: Stub, kind: str = "oruel") -> AsyncIterator[Gateway]:
    settings = Settings(store=HiddenText(location), key_secret=HiddenText(SECRET))
    models = read_catalog(catalog_text([stub.base_url for stub in stubs], kind).encode()).models
    async with AsyncExitStack() as resources:
        books = await open_books(settings, models, resources)
        store = Database.open(location)
        resources.callback(store.close)
        jobs = InProcessJobs()
        fleet = Fleet(settings, {}, jobs, resources)
        started = await run_concurrently([fleet.start(model) for model in models])
        services = build_services(settings, started, jobs, books)
        backend = WatchedBackend(services.backend)
        opened = Gateway(create_api(replace(services, backend=backend)), books, store, backend, list(stubs))
        yield opened
        for client in opened.clients:
            await client.aclose()


@asynccontextmanager
async def stubbed_gateway(location: str, *scripts: list[Part], kind: str = "oruel") -> AsyncIterator[Gateway]:
    """With an upstream server for each script; one that answers, without any."""
    async with AsyncExitStack() as up:
        stubs = [await up.enter_async_context(stub_server(script)) for script in scripts or (answering(),)]
        yield await up.enter_async_context(gateway(location, *stubs, kind=kind))


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50, **fields}


def chunks_of(text: str) -> list[dict[str, Any]]:
    """The events of a stream, without [DONE]."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]
