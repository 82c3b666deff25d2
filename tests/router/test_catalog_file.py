"""The operator's catalog: what it says is what is served, and what is wrong is named with its line."""

from decimal import Decimal

import pytest

from oruel.errors import ConfigError
from oruel.router.catalog_file import read_catalog
from oruel.router.deployment import Embedded, Upstream
from oruel.router.price import Price
from oruel.types import Usage

GOOD = """# a comment
[[models]]
name = "maverick"
aliases = ["mav"]
context = 8192
max_tokens = 512

[models.prices.standard]
input = 0.10
cached_input = 0.025
output = "0.40"

[models.prices.turbo]
input = 1
output = 3.0000001

[[models.deployments]]
name = "own"
engine = "demo"
cost = { input = 0.01, output = 0.02 }

[[models.deployments]]
name = "big"
base_url = "http://10.0.0.5:8000/v1/"
kind = "vllm"
model = "meta/maverick"
key_variable = "BIG_KEY"
tiers = ["turbo"]
accepts = ["seed", "repetition_penalty"]
idle_seconds = 7.5

[[models]]
name = "small"
[[models.deployments]]
name = "small-own"
engine = "small.gguf"
"""


def test_a_catalog_says_who_serves_what_for_how_much() -> None:
    maverick, small = read_catalog(GOOD)
    assert (maverick.name, maverick.aliases, maverick.context, maverick.max_tokens) == ("maverick", ("mav",), 8192, 512)
    assert maverick.prices["standard"] == Price(Decimal("0.10"), Decimal("0.025"), Decimal("0.40"))
    assert maverick.prices["turbo"] == Price(Decimal(1), Decimal(1), Decimal("3.0000001"))
    own, big = maverick.deployments
    assert (own.source, own.tiers) == (Embedded("demo"), ("standard", "turbo"))
    assert big.source == Upstream("http://10.0.0.5:8000/v1", "vllm", "meta/maverick", "BIG_KEY")
    assert (big.tiers, sorted(big.accepts), big.idle_seconds) == (("turbo",), ["repetition_penalty", "seed"], 7.5)
    assert small.tiers == ("standard", "turbo")


def test_money_is_exact() -> None:
    price = Price(Decimal("0.1"), Decimal("0.025"), Decimal("0.4"))
    assert price.of(Usage(prompt_tokens=3_000_003, completion_tokens=1, cached_tokens=3)) == Decimal("0.300000475")
    assert sum([price.of(Usage(1, 0))] * 10) == Decimal("0.000001")


WRONG = [
    ('name = "maverick"', 'name = ""', 3, "models[0].name"),
    ("context = 8192", "context = 0", 5, "models[0].context"),
    ("context = 8192", "contxt = 8192", 5, 'Did you mean "context"'),
    ("input = 0.10", "input = -0.10", 9, "models[0].prices.standard.input"),
    ('output = "0.40"', 'output = "cheap"', 11, "models[0].prices.standard.output"),
    ("input = 0.10", "input = nan", 9, "models[0].prices.standard.input"),
    ('kind = "vllm"', 'kind = "vlm"', 25, 'Did you mean "vllm"'),
    ('model = "meta/maverick"', "", 22, "has no model"),
    ('name = "big"', 'name = "own"', 23, "taken already"),
    ('name = "small"\n', 'name = "mav"\n', 33, "taken already"),
    ('accepts = ["seed", ', 'accepts = ["sed", ', 29, 'Did you mean "seed"'),
    ('engine = "small.gguf"', "", 34, "has no base_url"),
    ('engine = "demo"', 'engine = "demo"\nkind = "vllm"', 20, "belongs to a server"),
    ('base_url = "http://10', 'base_url = "ftp://10', 24, "base_url"),
    ("idle_seconds = 7.5", "idle_seconds = 0", 30, "idle_seconds"),
    ('tiers = ["turbo"]', 'tiers = ["turbo", "fast"]', 28, "tiers[1]"),
]


@pytest.mark.parametrize(("found", "instead", "line", "words"), WRONG, ids=lambda value: str(value)[:30])
def test_what_is_wrong_is_named_with_its_line(found: str, instead: str, line: int, words: str) -> None:
    assert GOOD.count(found) == 1
    with pytest.raises(ConfigError) as refused:
        read_catalog(GOOD.replace(found, instead))
    assert refused.value.message.startswith(f"Line {line} of the catalog: ")
    assert words in refused.value.message


def test_what_is_no_toml_is_named_with_its_line_too() -> None:
    with pytest.raises(ConfigError, match="line 5"):
        read_catalog(GOOD.replace("context = 8192", "context = "))
    with pytest.raises(ConfigError, match="models"):
        read_catalog("")


def test_a_price_for_a_tier_that_nobody_serves_is_refused() -> None:
    text = GOOD.replace('engine = "demo"', 'engine = "demo"\ntiers = ["standard"]')
    with pytest.raises(ConfigError, match="no deployment serves turbo"):
        read_catalog(text.replace('tiers = ["turbo"]', 'tiers = ["standard"]'))
