"""Parsing the operator's catalog: every field reaches its model or deployment, and errors name the line."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oruel.errors import ConfigError
from oruel.router.catalog_file import read_catalog
from oruel.router.deployment import CatalogModel, EmbeddedSource, UpstreamSource, VLLMSource
from oruel.router.price import Price

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
output = 3.000001

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
cost = { input = 0.3, output = "0.5" }
accepts = ["seed", "repetition_penalty"]
idle_seconds = 7.5

[[models]]
name = "small"
[[models.deployments]]
name = "small-own"
engine = "small.gguf"
"""


def models_of(text: str) -> tuple[CatalogModel, ...]:
    return read_catalog(text.encode()).models


def test_a_catalog_describes_models_deployments_and_prices() -> None:
    maverick, small = models_of(GOOD)
    assert (maverick.name, maverick.aliases, maverick.context, maverick.max_tokens) == ("maverick", ("mav",), 8192, 512)
    assert maverick.prices["standard"] == Price(Decimal("0.10"), Decimal("0.025"), Decimal("0.40"))
    assert maverick.prices["turbo"] == Price(Decimal(1), Decimal(1), Decimal("3.000001"))
    own, big = maverick.deployments
    assert (own.source, own.tiers) == (EmbeddedSource("demo"), ("standard", "turbo"))
    assert big.source == UpstreamSource("http://10.0.0.5:8000/v1", "vllm", "meta/maverick", "BIG_KEY")
    assert (big.tiers, sorted(big.accepts), big.idle_seconds) == (("turbo",), ["repetition_penalty", "seed"], 7.5)
    assert small.tiers == ("standard", "turbo")


WRONG = [
    ('name = "maverick"', 'name = ""', 3, "models[0].name"),
    ('name = "maverick"', '"name" = ""', 3, "models[0].name"),
    ('name = "maverick"', 'name = "  "', 3, "without spaces at either end"),
    ('name = "maverick"', 'name = "a\\r\\nx-evil: 1"', 3, "printable"),
    ('name = "maverick"', 'name = "a\\u001b[31m"', 3, "printable"),
    ('name = "maverick"', "name = '''\nx'''\ncontxt = 1", 5, "contxt"),
    ("context = 8192", "context = 0", 5, "models[0].context"),
    ("context = 8192", "context = 8192.5", 5, "must be an integer from 1 to 16777216, but is 8192.5"),
    ("context = 8192", "contxt = 8192", 5, 'Did you mean "context"'),
    ("context = 8192", "context = 511", 6, "models[0].max_tokens is 512, but context is only 511"),
    ('aliases = ["mav"]', 'aliases = [\n  "mav",\n  "", # no\n]', 6, "models[0].aliases[1]"),
    ('aliases = ["mav"]', 'aliases = [\n  "mav",\n  "mav",\n]', 6, "models[0].aliases[1]"),
    ('aliases = ["mav"]', 'aliases = [\n  "mav",\n  "maverick",\n]', 6, "models[0].aliases[1]"),
    ("[models.prices.turbo]", '["models"."prices".fast]', 13, "models[0].prices.fast"),
    ("input = 0.10", "input = -0.10", 9, "models[0].prices.standard.input"),
    ("input = 0.10", "input = nan", 9, "but is nan"),
    ("input = 0.10", f"input = 0.{'1' * 50}", 9, "6 decimals"),
    ("input = 0.10", "input = 1e999999999999999999999", 9, "no exponent"),
    ("input = 0.10", "input = 10000.1", 9, "from 0 to 10000"),
    ("input = 0.10", f"input = 0x{'f' * 9999}", 9, "a huge integer"),
    ("input = 0.10", "input = true", 9, "but is true"),
    ('output = "0.40"', 'output = "cheap"', 11, "models[0].prices.standard.output"),
    ('output = "0.40"', 'output = "٣"', 11, "models[0].prices.standard.output"),
    ("cost = { input = 0.01, output = 0.02 }", "", 17, "has no cost, but big has"),
    ('engine = "demo"', 'engine = "de\\u0007mo"', 19, "printable"),
    ('engine = "demo"', 'engine = "demo"\nkind = "vllm"', 20, "deployments[0].kind is only for upstream servers"),
    ('engine = "demo"', 'engine = "demo"\naccepts = []', 20, "deployments[0].accepts is only for upstream servers"),
    (
        'engine = "demo"',
        'engine = "demo"\nidle_seconds = 1',
        20,
        "deployments[0].idle_seconds is only for upstream servers",
    ),
    ('model = "meta/maverick"', "", 22, "has no model"),
    ('name = "big"', 'name = "own"', 23, "already used"),
    ('name = "big"', 'name = "b\u00efg"', 23, "ASCII"),
    ('base_url = "http://10', 'base_url = "ftp://10', 24, "http://"),
    ('kind = "vllm"', 'kind = "vlm"', 25, 'Did you mean "vllm"'),
    ('key_variable = "BIG_KEY"', 'key_variable = "sk-1234"', 27, "an environment variable"),
    ('key_variable = "BIG_KEY"', 'key = "sk-1234"', 27, "deployments[1].key is not a known field"),
    ('tiers = ["turbo"]', 'tiers = ["turbo", "fast"]', 28, "tiers[1]"),
    ('tiers = ["turbo"]', 'tiers = ["turbo", "turbo"]', 28, "tiers[1]"),
    ('accepts = ["seed", ', 'accepts = ["sed", ', 30, 'Did you mean "seed"'),
    ('accepts = ["seed", ', 'accepts = ["repetition_penalty", ', 30, "accepts[1]"),
    ("idle_seconds = 7.5", "idle_seconds = 0", 31, "idle_seconds"),
    ("idle_seconds = 7.5", "idle_seconds = 1e9", 31, "idle_seconds must be a number from 0.001 to 86400"),
    ('name = "small"\n', 'name = "mav"\n', 34, "already used"),
    ('engine = "small.gguf"', "", 35, "has no base_url"),
]


@pytest.mark.parametrize(("found", "instead", "line", "words"), WRONG, ids=lambda value: str(value)[:30])
def test_errors_name_the_line(found: str, instead: str, line: int, words: str) -> None:
    assert GOOD.count(found) == 1
    with pytest.raises(ConfigError) as refused:
        models_of(GOOD.replace(found, instead))
    assert refused.value.message.startswith(f"Line {line} of the catalog: ")
    assert words in refused.value.message


INLINE = """models = [
  { name = '''
x''', deployments = [

    { name = "d", engine = "demo" }, ] },
  { name = "y", deployments = [], ODD = 1 }, # ODD
]"""
ODD = {'"a.b"': "a.b", "a.b": "a", '""': '""', "'[0]'": "[0]", '"\\u00e9"': "é", "x" * 60: "x" * 40, '"\\t"': "\ufffd"}


@pytest.mark.parametrize("written", ODD)
def test_keys_of_every_form_are_named_with_their_line(written: str) -> None:
    with pytest.raises(ConfigError) as refused:
        models_of(INLINE.replace("ODD", written))
    assert refused.value.message.startswith(f"Line 6 of the catalog: models[1].{ODD[written]}")


def test_invalid_toml_is_named_with_its_line() -> None:
    with pytest.raises(ConfigError, match="line 5"):
        models_of(GOOD.replace("context = 8192", "context = "))
    with pytest.raises(ConfigError, match="models"):
        models_of("")
    with pytest.raises(ConfigError, match=r"Line 2 .*UTF-8"):
        read_catalog(b"# one\n# tw\xff\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = " + "[" * 3000 + "]" * 3000, "nests brackets too deeply"),
        ("x = " + "1" * 5000, "a number with thousands of digits"),
        ("# " + " " * 2**22, "more than 4194304 bytes"),
    ],
    ids=["brackets", "digits", "bytes"],
)
def test_an_oversized_file_is_refused_in_one_line(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        models_of(text)
    assert "\n" not in refused.value.message


def test_a_byte_order_mark_and_crlf_change_nothing() -> None:
    assert read_catalog(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()).models == models_of(GOOD)


@given(st.decimals(0, 10_000, allow_nan=False, places=6), st.booleans())
def test_every_digit_of_a_price_is_kept(amount: Decimal, is_text: bool) -> None:
    written = f'"{amount:f}"' if is_text else f"{amount:f}"
    maverick, _ = models_of(GOOD.replace("input = 0.10", f"input = {written}"))
    assert maverick.prices["standard"].input == amount


def test_a_price_for_a_tier_that_no_deployment_serves_is_refused() -> None:
    text = GOOD.replace('engine = "demo"', 'engine = "demo"\ntiers = ["standard"]')
    with pytest.raises(ConfigError, match="no deployment serves turbo"):
        models_of(text.replace('tiers = ["turbo"]', 'tiers = ["standard"]'))


def test_a_model_with_prices_needs_one_for_each_tier() -> None:
    text = GOOD.replace("[models.prices.turbo]\ninput = 1\noutput = 3.000001\n", "")
    with pytest.raises(ConfigError, match=r"Line 8 of the catalog: .*no price for turbo"):
        models_of(text)
    assert models_of(GOOD)[1].prices == {}, "a model without prices is free"


URLS = [
    ("http://10.0.0.5:65536/v1", "host and port"),
    ("http://10.0.0.5:0/v1", "host and port"),
    ("http://10.0.0.5:80x/v1", "host and port"),
    ("http://[::1", "host and port"),
    ("http:///v1", "host and port"),
    ("http://a,b/v1", "host and port"),
    ("http://a b/v1", "spaces"),
    ("http://höst/v1", "characters"),
    ("10.0.0.5:8000/v1", "http:// or https://"),
    ("http://10.0.0.5/v1?api-version=1", "query"),
    ("http://10.0.0.5/v1#x", "fragment"),
    ("http://10.0.0.5/v1/chat/completions", "ends with the path of an endpoint"),
    ("http://10.0.0.5:8000", "no path"),
    ("http://10.0.0.5:8000/", "no path"),
    ("http://" + "a" * 2048 + "/v1", "too long"),
]


@pytest.mark.parametrize(("url", "words"), URLS, ids=[url[:40] for url, _ in URLS])
def test_an_unusable_base_url_is_refused_at_startup(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=r"Line 24 of the catalog: .*base_url") as refused:
        models_of(GOOD.replace("http://10.0.0.5:8000/v1/", url))
    assert words in refused.value.message


@pytest.mark.parametrize("url", ["http://user:hunter2@h/v1", "http://hunter2@h/v1", "ftp://user:hunter2@h/v1"])
def test_a_password_in_a_base_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match="Line 24 of the catalog") as refused:
        models_of(GOOD.replace("http://10.0.0.5:8000/v1/", url))
    assert "hunter2" not in refused.value.message
    assert "key_variable" in refused.value.message or "http://" in refused.value.message


@pytest.mark.parametrize("url", ["https://api.example.com/v1", "http://[::1]:8000/v1", "http://my_host/a/b/v1///"])
def test_any_other_base_url_is_accepted(url: str) -> None:
    source = models_of(GOOD.replace("http://10.0.0.5:8000/v1/", url))[0].deployments[1].source
    assert isinstance(source, UpstreamSource)
    assert source.base_url == url.rstrip("/")


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (None, "BIG_KEY, which is not set"),
        ("sk-secret\n", "BIG_KEY, which ends with a line break"),
        ("sk-secret x", "BIG_KEY, which contains a space"),
        ("sk-secretü", "BIG_KEY, which contains"),
        ("sk-secret" * 1000, "BIG_KEY, which has more than 8192 characters"),
    ],
)
def test_an_invalid_key_is_refused_with_the_line_of_key_variable(held: str | None, words: str) -> None:
    with pytest.raises(ConfigError, match="Line 27 of the catalog") as refused:
        read_catalog(GOOD.encode()).require_keys({"BIG_KEY": held}.get)
    assert words in refused.value.message
    assert "sk-" not in refused.value.message


def test_a_valid_key_is_accepted() -> None:
    read_catalog(GOOD.encode()).require_keys({"BIG_KEY": "sk-secret"}.get)


@pytest.mark.parametrize("line", ['key_variable = "sk-1234"', 'key = "sk-1234"', 'key_variable = ["sk-1234"]'])
def test_a_key_written_into_the_file_by_mistake_is_not_repeated(line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        models_of(GOOD.replace('key_variable = "BIG_KEY"', line))
    assert "1234" not in refused.value.message


def test_the_example_in_the_documentation_is_a_valid_catalog() -> None:
    page = (Path(__file__).parents[2] / "docs" / "catalog.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (maverick,) = models_of(example)
    assert maverick.tiers == tuple(maverick.prices) == ("standard", "turbo")
    assert [one.name for one in maverick.deployments] == ["own", "nodes", "gpus"]


def test_the_vllm_in_the_documentation_is_a_valid_deployment() -> None:
    page = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (model,) = read_catalog(example.encode()).models
    name = "meta-llama/Llama-4-Maverick"
    assert model.deployments[0].source == VLLMSource("http://10.0.0.5:8000", name, f"hf:{name}", "GPUS_KEY")


VLLM_ENTRY = """
[[models]]
name = "m"
deployments = [{ name = "gpu", engine = "vllm", base_url = "http://gpu:8000/v1", model = "big", tokenizer = "hf:a/b" }]
"""


def test_a_vllm_can_be_an_engine() -> None:
    (model,) = read_catalog(VLLM_ENTRY.encode()).models
    assert model.deployments[0].source == VLLMSource("http://gpu:8000", "big", "hf:a/b")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (', tokenizer = "hf:a/b"', "", "has no tokenizer"),
        ('model = "big"', 'kind = "vllm"', "kind is only for upstream servers"),
        ('engine = "vllm", ', 'kind = "vllm", ', 'tokenizer is only for engine = "vllm"'),
    ],
)
def test_an_engine_vllm_takes_its_own_fields_only(before: str, after: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_catalog(VLLM_ENTRY.replace(before, after).encode())
