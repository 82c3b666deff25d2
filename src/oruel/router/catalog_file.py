"""The operator's catalog in TOML, read strictly: what is wrong is named with its line."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from oruel.errors import ConfigError, InvalidParameter, RequestError
from oruel.kinds import Array, Choice, Integer, JSONSchema, Number, Object, String, abbreviate, describe
from oruel.parameters import PARAMETERS
from oruel.router.deployment import CatalogModel, Deployment, Embedded, Upstream
from oruel.router.price import Price

MAX_PRICE = Decimal(1_000_000)
SECONDS = Number(0.001, 86400)
NAME = String(1, 128)


@dataclass(frozen=True)
class Money:
    """A decimal number, as a TOML number or a string; the file's digits are kept."""

    def parse(self, value: object, path: str) -> Decimal:
        amount = Decimal(value) if isinstance(value, (int, Decimal)) and not isinstance(value, bool) else None
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,12})?", value):
            amount = Decimal(value)
        if amount is None or not amount.is_finite() or not 0 <= amount <= MAX_PRICE:
            shown = str(value) if isinstance(value, Decimal) else describe(value)
            raise InvalidParameter(f"{path} must be {self}, but is {shown}.", param=path)
        return amount

    def schema(self) -> JSONSchema:
        return {"type": ["number", "string"]}

    def __str__(self) -> str:
        return f"an amount from 0 to {MAX_PRICE}"


@dataclass(frozen=True)
class Seconds:
    """As Number, from a file whose numbers are decimals."""

    def parse(self, value: object, path: str) -> float:
        return SECONDS.parse(float(value) if isinstance(value, Decimal) else value, path)

    def schema(self) -> JSONSchema:
        return SECONDS.schema()

    def __str__(self) -> str:
        return f"{SECONDS}"


PRICE = Object({"input": Money(), "cached_input": Money(), "output": Money()}, required=("input", "output"))
TIER = Choice(("standard", "turbo"))

DEPLOYMENT = Object(
    {
        "name": NAME,
        "engine": NAME,
        "base_url": String(1, 2048, r"https?://[!-~]+"),
        "kind": Choice(("vllm", "sglang", "llama-server", "openai", "oruel")),
        "model": NAME,
        "key_variable": String(1, 128, "[A-Za-z_][A-Za-z0-9_]*"),
        "tiers": Array(TIER, minimum=1, maximum=2),
        "cost": PRICE,
        "accepts": Array(Choice(tuple(parameter.name for parameter in PARAMETERS)), maximum=len(PARAMETERS)),
        "connect_seconds": Seconds(),
        "first_token_seconds": Seconds(),
        "idle_seconds": Seconds(),
    },
    required=("name",),
)
MODEL = Object(
    {
        "name": NAME,
        "aliases": Array(NAME, maximum=64),
        "context": Integer(1, 2**24),
        "max_tokens": Integer(1, 131072),
        "prices": Object({"standard": PRICE, "turbo": PRICE}),
        "deployments": Array(DEPLOYMENT, minimum=1, maximum=256),
    },
    required=("name", "deployments"),
)
FILE = Object({"models": Array(MODEL, minimum=1, maximum=1024)}, required=("models",))


def read_catalog(text: str) -> tuple[CatalogModel, ...]:
    """Raises ConfigError, its message beginning with the line where there is one."""
    try:
        given = FILE.parse(tomllib.loads(text, parse_float=Decimal), "")
        return built(given)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The catalog is not TOML: {error}.") from error
    except RequestError as error:
        raise ConfigError(f"Line {line_of(text, error.param or '')} of the catalog: {error.message}") from error


def built(given: dict[str, Any]) -> tuple[CatalogModel, ...]:
    models = tuple(model_of(model, f"models[{index}]") for index, model in enumerate(given["models"]))
    refuse_repeated(
        [(f"models[{i}].name", name) for i, model in enumerate(models) for name in (model.name, *model.aliases)]
    )
    named = [
        (f"models[{i}].deployments[{j}].name", deployment.name)
        for i, model in enumerate(models)
        for j, deployment in enumerate(model.deployments)
    ]
    refuse_repeated(named)
    return models


def model_of(given: dict[str, Any], path: str) -> CatalogModel:
    deployments = tuple(
        deployment_of(one, f"{path}.deployments[{index}]") for index, one in enumerate(given["deployments"])
    )
    model = CatalogModel(
        given["name"],
        deployments,
        given.get("aliases", ()),
        given.get("context"),
        given.get("max_tokens"),
        {tier: price_of(price) for tier, price in given.get("prices", {}).items()},
    )
    for tier in model.prices:
        if tier not in model.tiers:
            raise InvalidParameter(
                f"{path}.prices.{tier} is given, but no deployment serves {tier}.", param=f"{path}.prices.{tier}"
            )
    return model


def deployment_of(given: dict[str, Any], path: str) -> Deployment:
    seconds = {
        name: given[name] for name in ("connect_seconds", "first_token_seconds", "idle_seconds") if name in given
    }
    return Deployment(
        given["name"],
        source_of(given, path),
        given.get("tiers", ("standard", "turbo")),
        price_of(given.get("cost", {})),
        frozenset(given.get("accepts", ())),
        **seconds,
    )


def source_of(given: dict[str, Any], path: str) -> Embedded | Upstream:
    """A deployment is an engine or a server."""
    if "engine" in given:
        for name in ("base_url", "kind", "model", "key_variable"):
            if name in given:
                raise InvalidParameter(
                    f"{path}.{name} belongs to a server, but engine is given too.", param=f"{path}.{name}"
                )
        return Embedded(given["engine"])
    for name in ("base_url", "kind", "model"):
        if name not in given:
            raise InvalidParameter(
                f"{path} has no {name}. Give it an engine (demo, a file, hf:…), or base_url, kind and model.",
                param=path,
            )
    return Upstream(given["base_url"].rstrip("/"), given["kind"], given["model"], given.get("key_variable"))


def price_of(given: dict[str, Decimal]) -> Price:
    """Cached input costs what input does, where it isn't given."""
    paid = given.get("input", Decimal(0))
    return Price(paid, given.get("cached_input", paid), given.get("output", Decimal(0)))


def refuse_repeated(named: list[tuple[str, str]]) -> None:
    seen: set[str] = set()
    for path, name in named:
        if name in seen:
            raise InvalidParameter(f'{path} is "{abbreviate(name)}", which is taken already.', param=path)
        seen.add(name)


def line_of(text: str, path: str) -> int:
    """The line of the deepest part of `path` that has one of its own, such as models[1].deployments[0].kind."""
    found = {place: number for number, place in reversed(list(places(text)))}
    while path and path not in found:
        path = re.sub(r"(\[[0-9]+\]|\.[^.\[]*)$", "", path) if re.search(r"[.\[]", path) else ""
    return found.get(path, 1)


def places(text: str) -> Iterator[tuple[int, str]]:
    """Each line that names a table or a key, with its path."""
    counts: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*(\[\[?)\s*([\w.-]+)\s*\]", line):
            table = indexed(header[2], counts, counted=header[1] == "[[")
            yield number, table
        elif key := re.match(r"\s*([\w-]+(?:\.[\w-]+)*)\s*=", line):
            yield number, f"{table}.{key[1]}" if table else key[1]


def indexed(header: str, counts: dict[str, int], *, counted: bool) -> str:
    """The path of a table: arrays of tables have the index of their latest item."""
    path = ""
    names = header.split(".")
    for depth, name in enumerate(names):
        path += f".{name}" if path else name
        if counted and depth == len(names) - 1:
            counts[path] = counts.get(path, -1) + 1
            for inner in [one for one in counts if one.startswith(f"{path}[")]:
                if not inner.startswith(f"{path}[{counts[path]}]"):
                    continue
                del counts[inner]
        if path in counts:
            path += f"[{counts[path]}]"
    return path
