"""`oruel serve` with a store, over a stub of an upstream server whose answers vary, and clients that load it."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2

from oruel.ledger.administration import Administration
from oruel.ledger.database import Database
from oruel.ledger.key import load_secret
from oruel.ledger.key_terms import KeyTerms
from oruel.ledger.money import UNITS_PER_USD
from tests.ledger.audit import Audit, price_of
from tests.server import RunningServer, oruel_serve
from tests.stub_server import DONE, HEAD, Part, Stub, chunk, stub_server, usage

KEY_SECRET = "a secret that only these tests know"
MAX_TOKENS = 40
TIERS = ("standard", "turbo")
# What the question that clients ask may cost at most: 340 tokens of input as far as its bytes tell, and 40 of output.
USD_OF_ONE = 0.0003
CATALOG = """
[[models]]
name = "m"
[models.prices.standard]
input = 0.6
cached_input = 0.15
output = 2.4
[models.prices.turbo]
input = 1.2
cached_input = 0.3
output = 4.8
[[models.deployments]]
name = "stub"
base_url = "URL"
kind = "vllm"
model = "x"
tiers = ["standard", "turbo"]
"""


@dataclass
class VariedAnswers:
    """The script of a stub: another number of tokens for each request, with pauses between them."""

    random: random.Random
    seconds_per_token: float = 0.01
    fewest_tokens: int = 1

    def __iter__(self) -> Iterator[Part]:
        prompt, completion = self.random.randint(1, 200), self.random.randint(self.fewest_tokens, MAX_TOKENS)
        cached = {"cached_tokens": self.random.randint(0, prompt)}
        yield HEAD
        for number in range(completion):
            yield self.random.random() * 2 * self.seconds_per_token
            yield chunk(f" {number}")
        yield chunk(finish="stop")
        yield usage(prompt, completion, prompt_tokens_details=cached)
        yield DONE


@dataclass(frozen=True)
class Site:
    """A store and a catalog, on which servers can be started again and again. `keys` are secrets by name; `upstream` is
    what the catalog's only deployment asks.
    """

    store: str
    catalog: Path
    keys: Mapping[str, str]
    upstream: Stub

    def serve(self, *flags: str, environment: Mapping[str, str] = {}) -> AbstractContextManager[RunningServer]:
        given = {"ORUEL_STORE": self.store, "ORUEL_KEY_SECRET": KEY_SECRET, **environment}
        return oruel_serve("--catalog", str(self.catalog), *flags, environment=given)

    def revoke(self, name: str) -> None:
        """As `oruel keys revoke` does, in another process than the server's."""
        with administration(self.store) as operator:
            (key,) = operator.list_keys(name)
            operator.revoke_key(key.id)


@asynccontextmanager
async def site(
    store: str, folder: Path, answers: VariedAnswers, keys: Mapping[str, tuple[float | None, KeyTerms]]
) -> AsyncIterator[Site]:
    """`keys`: for each, the credit of its account in USD, and its terms."""
    catalog = folder / "catalog.toml"
    async with stub_server(answers) as stub:
        catalog.write_text(CATALOG.replace("URL", stub.base_url))
        yield Site(store, catalog, await asyncio.to_thread(create_keys, store, keys), stub)


def create_keys(store: str, keys: Mapping[str, tuple[float | None, KeyTerms]]) -> dict[str, str]:
    created = {}
    with administration(store) as operator:
        for name, (credit, terms) in keys.items():
            operator.create_account(name, None if credit is None else round(credit * UNITS_PER_USD))
            created[name] = operator.create_key(name, terms)[1]
    return created


@contextmanager
def administration(store: str) -> Iterator[Administration]:
    with closing(Database.open(store)) as database:
        yield Administration(database, load_secret(store, KEY_SECRET))


@dataclass(frozen=True)
class Answered:
    """A request whose client saw its end."""

    id: str
    tier: str
    usage: Mapping[str, Any]


@dataclass(frozen=True)
class Refused:
    """`late`: the error came as an event of a stream; `id` is then that of the answer."""

    status: int
    code: str | None
    retry_after: str | None = None
    late: bool = False
    id: str = ""


Outcome = Answered | Refused | None
"""None if the client doesn't know how the request ended: the connection broke."""


@dataclass
class Clients:
    """`outcomes` has those of all requests."""

    random: random.Random
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def answered(self) -> list[Answered]:
        return [one for one in self.outcomes if isinstance(one, Answered)]

    @property
    def refused(self) -> list[Refused]:
        return [one for one in self.outcomes if isinstance(one, Refused)]

    async def load(self, url: str, keys: Mapping[str, str], clients_of_each: int, leave: float = 0.0) -> None:
        """Asks again and again until cancelled or the server is gone. `leave` is the share of requests that the client
        gives up after a moment.
        """
        async with httpx2.AsyncClient(base_url=url, timeout=60) as client, asyncio.TaskGroup() as group:
            for key in keys.values():
                for _ in range(clients_of_each):
                    group.create_task(self._repeat(client, key, leave))

    async def _repeat(self, client: httpx2.AsyncClient, key: str, leave: float) -> None:
        while True:
            patience = self.random.random() / 5 if self.random.random() < leave else 60
            try:
                async with asyncio.timeout(patience):
                    outcome = await ask(client, key, stream=self.random.random() < 0.6, tier=self.random.choice(TIERS))
            except TimeoutError:
                outcome = None
            except httpx2.ConnectError:
                return
            self.outcomes.append(outcome)
            if isinstance(outcome, Refused):
                await asyncio.sleep(0.05)


@dataclass
class CarefulClient:
    """Repeats each request, with its Idempotency-Key, until it has seen the end of the answer."""

    name: str
    answered: list[Answered] = field(default_factory=list)

    async def load(self, url: str, key: str) -> None:
        """Asks again and again until the server is gone."""
        with suppress(httpx2.ConnectError):
            while True:
                await self.ask_once(url, key)

    async def ask_once(self, url: str, key: str) -> None:
        number = len(self.answered)
        headers = {"idempotency-key": f"{self.name}-{number}"}
        async with httpx2.AsyncClient(base_url=url, timeout=60) as client:
            outcome = await ask(client, key, stream=number % 2 == 0, headers=headers)
        assert not isinstance(outcome, Refused), outcome
        if outcome:
            self.answered.append(outcome)


async def ask(
    client: httpx2.AsyncClient,
    key: str,
    *,
    stream: bool = False,
    tier: str = "standard",
    headers: Mapping[str, str] = {},
    **fields: Any,
) -> Outcome:
    """Raises httpx2.ConnectError if there is no server."""
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": MAX_TOKENS, "tier": tier}
    options = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    try:
        async with client.stream(
            "POST",
            "/chat/completions",
            json=body | options | fields,
            headers={"authorization": f"Bearer {key}", **headers},
        ) as response:
            if response.status_code != 200:
                return refusal(response, json.loads(await response.aread()))
            return await read_events(response, tier) if stream else whole(json.loads(await response.aread()), tier)
    except httpx2.ConnectError:
        raise
    except httpx2.TransportError:
        return None


def refusal(response: httpx2.Response, body: Any) -> Refused:
    return Refused(response.status_code, body["error"]["code"], response.headers.get("retry-after"))


def whole(body: Any, tier: str) -> Answered:
    return Answered(body["id"], tier, body["usage"])


async def read_events(response: httpx2.Response, tier: str) -> Outcome:
    """An answer, if [DONE] came and no error before it."""
    events: list[Any] = []
    async for line in response.aiter_lines():
        if line == "data: [DONE]":
            last = events[-1]
            if "error" in last:
                return Refused(200, last["error"]["code"], late=True, id=events[0].get("id", ""))
            return whole(last, tier)
        if line.startswith("data: "):
            events.append(json.loads(line[6:]))
    return None


def assert_recorded(answered: Sequence[Answered], books: Audit) -> None:
    """Each is in the ledger, as finished, with the price that the client can compute itself."""
    assert len({one.id for one in answered}) == len(answered)
    for one in answered:
        row, price = books.requests[one.id], price_of(one.tier, one.usage)
        assert (row["status"], row["price"]) == ("finished", price)
        assert Decimal(one.usage["cost"]) * UNITS_PER_USD == price


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)
