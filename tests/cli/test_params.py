"""`oruel params`."""

import json
import re

import pytest

from oruel.cli import main
from oruel.contract.parameters import PARAMETERS, USE_CASES
from tests.cli.command_line import CommandLine

# Copied from the contract by hand: name, allowed values, default.
CONTRACT = [
    ("temperature", "0 to 2", "0.7"),
    ("top_p", "0 to 1", "1.0"),
    ("top_k", "0 to 200", "not set"),
    ("min_p", "0 to 1", "not set"),
    ("seed", "-9223372036854775808 to 9223372036854775807", "not set"),
    ("max_tokens", "1 to 131072", "not set"),
    ("stop", "1 to 256 characters", "not set"),
    ("frequency_penalty", "-2 to 2", "0.0"),
    ("presence_penalty", "-2 to 2", "0.0"),
    ("repetition_penalty", "0.1 to 3", "1.0"),
    ("response_format", '"text"', '{"type": "text"}'),
    ("stream", "true or false", "false"),
    ("tools", "", "not set"),
    ("tool_choice", "", "not set"),
    ("tier", '"standard" or "turbo"', '"standard"'),
    ("n", "1 to 8", "1"),
    ("logprobs", "true or false", "false"),
    ("top_logprobs", "0 to 20", "0"),
    ("logit_bias", "-100 to 100", "not set"),
]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as exited:
        main(["params", *arguments])
    assert exited.value.code in (0, None)
    return capsys.readouterr().out


def test_the_table_has_every_parameter_with_its_range_and_default(oruel: CommandLine) -> None:
    wide = oruel.call("params", COLUMNS="300").stdout.decode()
    for name, allowed, default in CONTRACT:
        [row] = [line for line in wide.splitlines() if line.split() and line.split()[0] == name]
        assert allowed in row
        assert f" {default} " in row
    assert {name for name, _, _ in CONTRACT} <= {parameter.name for parameter in PARAMETERS}


def test_a_pipe_gets_80_columns_without_colours_or_truncation(oruel: CommandLine) -> None:
    shown = oruel.run("params").stdout.decode()
    assert "\x1b" not in shown
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    words = set(shown.split())
    for parameter in PARAMETERS:
        assert {parameter.name, *parameter.summary.split()} <= words


def test_the_settings_by_use_case_match_the_parameter_page(oruel: CommandLine) -> None:
    wide = re.sub(" +", " ", oruel.call("params", COLUMNS="300").stdout.decode())
    assert 'Code generation 0 - 0.2 0.95 2048 stop=["```"]' in wide
    assert 'Data extraction 0 1.0 1024 response_format: {"type": "json_object"}' in wide
    assert "Chatbot 0.5 - 0.7 0.9 1024 frequency_penalty: 0.3" in wide
    assert all(case.name in wide for case in USE_CASES)


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter.name)
def test_one_parameter_is_shown_with_all_its_details(capsys: pytest.CaptureFixture[str], parameter: object) -> None:
    [declared] = [one for one in PARAMETERS if one is parameter]
    shown = " ".join(printed(capsys, declared.name).split())
    for text in (declared.summary, str(declared.kind), declared.default_note, *declared.details):
        assert " ".join(text.split()) in shown


def test_the_name_of_an_option_is_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "top-p") == printed(capsys, "top_p")


def test_an_unknown_parameter_is_refused_with_a_suggestion(oruel: CommandLine) -> None:
    done = oruel.call("params", "temprature")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b'oruel: Unknown parameter "temprature". Did you mean "temperature"?' in done.stderr
    assert b"Traceback" not in done.stderr


def test_json_output_equals_the_declarations(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(printed(capsys, "--json")) == [parameter.as_json() for parameter in PARAMETERS]
    top_k = json.loads(printed(capsys, "top_k", "--json"))
    assert (top_k["schema"], top_k["default"]) == ({"type": "integer", "minimum": 0, "maximum": 200}, None)


def test_params_imports_neither_the_engine_nor_the_network(oruel: CommandLine) -> None:
    imported = oruel.run("params", "top_k", PYTHONPROFILEIMPORTTIME="1").stderr.decode()
    assert "oruel.contract.parameters" in imported
    for heavy in ("httpx2", "huggingface_hub", "fastapi", "numpy", "oruel.app", "cffi"):
        assert not re.search(rf"\| +{re.escape(heavy)}$", imported, re.MULTILINE), heavy
