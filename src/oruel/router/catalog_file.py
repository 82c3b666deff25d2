"""Parses and validates the operator's catalog, a TOML file. Errors name the line."""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from oruel.contract.kinds import Array, Integer, JSONSchema, Number, Object, String, StringEnum, abbreviate, describe
from oruel.contract.parameters import PARAMETERS
from oruel.errors import ConfigError, InvalidParameter, RequestError
from oruel.router.base_url import BaseURL
from oruel.router.deployment import CatalogModel, Deployment, EmbeddedSource, Source, UpstreamSource, VLLMSource
from oruel.router.money import Money, WrittenDecimal
from oruel.router.price import Price
from oruel.router.toml_lines import Path, locate_keys
from oruel.router.upstream_key import upstream_key_fault
from oruel.types import TIERS

MAX_BYTES = 2**22
SECONDS = Number(0.001, 86400)


@dataclass(frozen=True)
class LabelName:
    """A name that metric labels, headers, tables and logs can contain unescaped."""

    maximum: int = 128
    allows_spaces: bool = True

    def parse(self, value: object, path: str) -> str:
        name = String(1, self.maximum).parse(value, path)
        if not name.isprintable() or name != name.strip() or not (self.allows_spaces or re.fullmatch("[!-~]+", name)):
            raise InvalidParameter(f"{path} must be {self}, but is {describe(name)}.", param=path)
        return name

    def schema(self) -> JSONSchema:
        return String(1, self.maximum).schema()

    def __str__(self) -> str:
        kind, where = ("printable", "at either end") if self.allows_spaces else ("printable ASCII", "anywhere")
        return f"1 to {self.maximum} {kind} characters without spaces {where}"


@dataclass(frozen=True)
class EnvironmentVariable:
    """The name of an environment variable. Errors never repeat the value, which may be a key entered by mistake."""

    def parse(self, value: object, path: str) -> str:
        if not isinstance(value, str) or not re.fullmatch("[A-Z_][A-Z0-9_]{0,127}", value):
            raise InvalidParameter(f"{path} must be {self}, but the given value is not.", param=path)
        return value

    def schema(self) -> JSONSchema:
        return {"type": "string", "pattern": "^[A-Z_][A-Z0-9_]{0,127}$"}

    def __str__(self) -> str:
        return "the name of an environment variable, in capital letters, digits and _"


@dataclass(frozen=True)
class UniqueArray:
    """An array without duplicates."""

    array: Array

    def parse(self, value: object, path: str) -> tuple[Any, ...]:
        items = self.array.parse(value, path)
        check_unique([(f"{path}[{index}]", item) for index, item in enumerate(items)])
        return items

    def schema(self) -> JSONSchema:
        return self.array.schema() | {"uniqueItems": True}

    def __str__(self) -> str:
        return f"{self.array}"


NAME = LabelName()
PRICE = Object({"input": Money(), "cached_input": Money(), "output": Money()}, required=("input", "output"))
TIMEOUTS = ("connect_seconds", "first_token_seconds", "idle_seconds")
# The engine that is not a model file of its own.
VLLM = "vllm"
UPSTREAM_FIELDS = ("base_url", "kind", "model", "key_variable", "accepts", *TIMEOUTS)
TIER = StringEnum(TIERS)

DEPLOYMENT = Object(
    {
        "name": LabelName(allows_spaces=False),
        "engine": LabelName(4096),
        "tokenizer": LabelName(4096),
        "base_url": BaseURL(),
        "kind": StringEnum(("vllm", "sglang", "llama-server", "openai", "oruel")),
        "model": NAME,
        "key_variable": EnvironmentVariable(),
        "tiers": UniqueArray(Array(TIER, minimum=1, maximum=2)),
        "cost": PRICE,
        "accepts": UniqueArray(Array(StringEnum(tuple(one.name for one in PARAMETERS)), maximum=len(PARAMETERS))),
        "connect_seconds": SECONDS,
        "first_token_seconds": SECONDS,
        "idle_seconds": SECONDS,
    },
    required=("name",),
)
MODEL = Object(
    {
        "name": NAME,
        "aliases": Array(NAME, maximum=64),
        "context": Integer(1, 2**24),
        "max_tokens": Integer(1, 131072),
        "prices": Object(dict.fromkeys(TIERS, PRICE)),
        "deployments": Array(DEPLOYMENT, minimum=1, maximum=256),
    },
    required=("name", "deployments"),
)
FILE = Object({"models": Array(MODEL, minimum=1, maximum=1024)}, required=("models",))


@dataclass(frozen=True)
class CatalogFile:
    text: str
    models: tuple[CatalogModel, ...]

    def require_keys(self, read_key: Callable[[str], str | None]) -> None:
        """Raises ConfigError if a key is unset or invalid. `read_key` gets the value of an environment variable."""
        with errors_with_line(self.text):
            for path, deployment in paths_of_deployments(self.models):
                check_key(f"{path}.key_variable", deployment, read_key)


def read_catalog(data: bytes) -> CatalogFile:
    """Raises ConfigError, whose message begins with the line of the error where possible."""
    if len(data) > MAX_BYTES:
        raise ConfigError(f"The catalog has more than {MAX_BYTES} bytes.")
    try:
        # Some Windows editors begin files with a byte order mark.
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"Line {line} of the catalog contains bytes that are not UTF-8.") from error
    given = parse_toml(text)
    with errors_with_line(text):
        return CatalogFile(text, build_models(FILE.parse(given, "")))


def parse_toml(text: str) -> dict[str, Any]:
    """Raises ConfigError."""
    try:
        return tomllib.loads(text, parse_float=WrittenDecimal)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The catalog is not valid TOML: {error}.") from error
    except RecursionError as error:
        raise ConfigError("The catalog nests brackets too deeply.") from error
    except ValueError as error:
        # Python refuses to convert integers of thousands of digits.
        raise ConfigError("The catalog contains a number with thousands of digits.") from error


@contextmanager
def errors_with_line(text: str) -> Iterator[None]:
    """Converts request errors raised in the context to ConfigErrors that name the line."""
    try:
        yield
    except RequestError as error:
        raise ConfigError(f"Line {find_line(text, error.param or '')} of the catalog: {error.message}") from error


def find_line(text: str, path: str) -> int:
    """The line of a path such as models[1].deployments[0].kind. For a missing key, the line of its closest parent."""
    lines: dict[str, int] = {}
    for key, line in locate_keys(text):
        lines.setdefault(format_path(key), line)
    while path and path not in lines:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return lines.get(path, 1)


def format_path(path: Path) -> str:
    """In the notation of the errors of contract.kinds, such as models[1].name."""
    parts = (f"[{part}]" if isinstance(part, int) else "." + (abbreviate(part) or '""') for part in path)
    return "".join(parts).removeprefix(".")


def build_models(given: dict[str, Any]) -> tuple[CatalogModel, ...]:
    models = tuple(build_model(model, f"models[{index}]") for index, model in enumerate(given["models"]))
    check_unique([pair for i, model in enumerate(models) for pair in paths_of_names(model, f"models[{i}]")])
    check_unique([(f"{path}.name", deployment.name) for path, deployment in paths_of_deployments(models)])
    return models


def paths_of_names(model: CatalogModel, path: str) -> list[tuple[str, str]]:
    """The path and the value of each name of the model."""
    aliases = [(f"{path}.aliases[{index}]", alias) for index, alias in enumerate(model.aliases)]
    return [(f"{path}.name", model.name), *aliases]


def paths_of_deployments(models: tuple[CatalogModel, ...]) -> Iterator[tuple[str, Deployment]]:
    """The path of each deployment, and the deployment."""
    for i, model in enumerate(models):
        for j, deployment in enumerate(model.deployments):
            yield f"models[{i}].deployments[{j}]", deployment


def build_model(given: dict[str, Any], path: str) -> CatalogModel:
    deployments = tuple(
        build_deployment(one, f"{path}.deployments[{index}]") for index, one in enumerate(given["deployments"])
    )
    model = CatalogModel(
        given["name"],
        deployments,
        given.get("aliases", ()),
        given.get("context"),
        given.get("max_tokens"),
        {tier: build_price(price) for tier, price in given.get("prices", {}).items()},
    )
    check_lengths(model, path)
    check_prices(model, path)
    check_costs(given["deployments"], path)
    return model


def check_lengths(model: CatalogModel, path: str) -> None:
    if model.context is not None and model.max_tokens is not None and model.max_tokens > model.context:
        raise InvalidParameter(
            f"{path}.max_tokens is {model.max_tokens}, but context is only {model.context}. Lower max_tokens.",
            param=f"{path}.max_tokens",
        )


def check_prices(model: CatalogModel, path: str) -> None:
    """A model without prices is free. Otherwise each tier needs a price, so that none is free by mistake."""
    for tier in model.prices:
        if tier not in model.tiers:
            raise InvalidParameter(
                f"{path}.prices.{tier} is given, but no deployment serves {tier}. Remove it.",
                param=f"{path}.prices.{tier}",
            )
    for tier in model.tiers:
        if model.prices and tier not in model.prices:
            raise InvalidParameter(
                f"{path}.prices has no price for {tier}, which a deployment serves. Add the price, 0 if it is "
                f"free, or remove {tier} from the tiers of the deployments.",
                param=f"{path}.prices",
            )


def check_costs(deployments: Sequence[Mapping[str, Any]], path: str) -> None:
    costly = [one["name"] for one in deployments if "cost" in one]
    for index, one in enumerate(deployments):
        if costly and "cost" not in one:
            raise InvalidParameter(
                f"{path}.deployments[{index}] has no cost, but {costly[0]} has one. Without a cost it would always be "
                "chosen first. Add it, 0 if the deployment costs nothing.",
                param=f"{path}.deployments[{index}]",
            )


def build_deployment(given: dict[str, Any], path: str) -> Deployment:
    return Deployment(
        given["name"],
        build_source(given, path),
        given.get("tiers", TIERS),
        build_price(given["cost"]) if "cost" in given else Price(),
        frozenset(given.get("accepts", ())),
        **{name: given[name] for name in TIMEOUTS if name in given},
    )


def build_source(given: dict[str, Any], path: str) -> Source:
    """An embedded engine, a vLLM as an engine, or an upstream server."""
    if given.get("engine") == VLLM:
        return build_vllm(given, path)
    if "tokenizer" in given:
        raise InvalidParameter(f'{path}.tokenizer is only for engine = "{VLLM}". Remove it.', param=f"{path}.tokenizer")
    if "engine" in given:
        for name in UPSTREAM_FIELDS:
            if name in given:
                raise InvalidParameter(
                    f"{path}.{name} is only for upstream servers, but engine is given too. Remove one of them. An "
                    "engine honours every parameter and uses the timeouts of oruel serve.",
                    param=f"{path}.{name}",
                )
        return EmbeddedSource(given["engine"])
    for name in ("base_url", "kind", "model"):
        if name not in given:
            raise InvalidParameter(
                f"{path} has no {name}. Add engine (demo, a file, hf:…), or base_url, kind and model.",
                param=path,
            )
    return UpstreamSource(given["base_url"], given["kind"], given["model"], given.get("key_variable"))


def build_vllm(given: dict[str, Any], path: str) -> VLLMSource:
    for name in ("kind", "accepts"):
        if name in given:
            raise InvalidParameter(
                f'{path}.{name} is only for upstream servers, but engine is "{VLLM}", which honours every parameter. '
                "Remove one of them.",
                param=f"{path}.{name}",
            )
    for name in ("base_url", "model", "tokenizer"):
        if name not in given:
            raise InvalidParameter(
                f'{path} has no {name}. With engine = "{VLLM}", base_url, model and tokenizer are required.', param=path
            )
    root = given["base_url"].removesuffix("/v1")
    return VLLMSource(root, given["model"], given["tokenizer"], given.get("key_variable"))


def build_price(given: dict[str, Decimal]) -> Price:
    """The price of cached input defaults to that of input."""
    return Price(given["input"], given.get("cached_input", given["input"]), given["output"])


def check_unique(names: list[tuple[str, str]]) -> None:
    """Raises InvalidParameter with the path of the first repeated name. `names`: pairs of a path and a name."""
    seen: set[str] = set()
    for path, name in names:
        if name in seen:
            raise InvalidParameter(f'{path} is "{abbreviate(name)}", which is already used.', param=path)
        seen.add(name)


def check_key(path: str, deployment: Deployment, read_key: Callable[[str], str | None]) -> None:
    source = deployment.source
    if isinstance(source, EmbeddedSource) or source.key_variable is None:
        return
    if fault := upstream_key_fault(read_key(source.key_variable)):
        raise InvalidParameter(
            f"{deployment.name} takes its key from {source.key_variable}, which {fault}. Set it to the key without "
            "spaces or line breaks, or remove key_variable.",
            param=path,
        )
