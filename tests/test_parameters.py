"""The declarations match the parameter page. The expected values were copied from the page by hand."""

import json
from typing import Any

import pytest

from oruel.contract.parameters import PARAMETERS, USE_CASES, Parameter, UseCase
from oruel.errors import RequestError

BY_NAME = {parameter.name: parameter for parameter in PARAMETERS}

# name: (type, minimum, maximum, default on the page, None for "not set")
PAGE: dict[str, tuple[str, float, float, Any]] = {
    "temperature": ("number", 0, 2, 0.7),
    "top_p": ("number", 0, 1, 1.0),
    "top_k": ("integer", 0, 200, None),
    "min_p": ("number", 0, 1, None),
    "max_tokens": ("integer", 1, 131072, None),
    "frequency_penalty": ("number", -2, 2, 0),
    "presence_penalty": ("number", -2, 2, 0),
    "repetition_penalty": ("number", 0.1, 3, 1.0),
    # Not on the page, but in the contract.
    "seed": ("integer", -(2**63), 2**63 - 1, None),
    "max_completion_tokens": ("integer", 1, 131072, None),
    "n": ("integer", 1, 8, 1),
    "top_logprobs": ("integer", 0, 20, 0),
}
OTHERS: dict[str, Any] = {
    "stop": None,
    "response_format": {"type": "text"},
    "stream": False,
    "stream_options": None,
    "tools": None,
    "tool_choice": None,
    "parallel_tool_calls": True,
    "tier": "standard",
    "logprobs": False,
    "logit_bias": None,
    "chat_template_kwargs": None,
    "trace": None,
}
TABLE = """
Code generation     | 0 - 0.2   | 0.95 | 2048 | stop=["```"]
Creative writing    | 0.8 - 1.2 | 1.0  | 4096 | frequency_penalty: 0.5
Data extraction     | 0         | 1.0  | 1024 | response_format: {"type": "json_object"}
Q&A / Factual       | 0 - 0.3   | 0.95 | 512  |
Summarization       | 0.3 - 0.5 | 0.95 | 1024 |
Translation         | 0 - 0.2   | 1.0  | 2048 |
Brainstorming       | 1.0 - 1.5 | 1.0  | 2048 | presence_penalty: 0.8
Chatbot             | 0.5 - 0.7 | 0.9  | 1024 | frequency_penalty: 0.3
Classification      | 0         | 1.0  | 10   |
"""


def test_exactly_the_parameters_of_the_contract_are_declared() -> None:
    names = [parameter.name for parameter in PARAMETERS]
    assert sorted(names) == sorted([*PAGE, *OTHERS])


@pytest.mark.parametrize(("name", "facts"), PAGE.items())
def test_types_ranges_and_defaults_match_the_page(name: str, facts: tuple[str, float, float, Any]) -> None:
    schema = BY_NAME[name].kind.schema()
    assert (schema["type"], schema["minimum"], schema["maximum"], BY_NAME[name].default) == facts


@pytest.mark.parametrize(("name", "default"), OTHERS.items())
def test_the_other_defaults_match_the_contract(name: str, default: Any) -> None:
    assert BY_NAME[name].default == default


def test_stop_accepts_up_to_four_strings_of_up_to_256_characters() -> None:
    stop = BY_NAME["stop"].kind
    assert stop.parse("x" * 256, "stop") == ("x" * 256,)
    assert stop.parse(["a", "b", "c", "😀" * 256], "stop") == ("a", "b", "c", "😀" * 256)
    for wrong in ("", "x" * 257, ["a"] * 5, [""]):
        with pytest.raises(RequestError, match="stop"):
            stop.parse(wrong, "stop")


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter.name)
def test_every_default_is_a_valid_value(parameter: Parameter) -> None:
    if parameter.default is not None:
        parameter.kind.parse(parameter.default, parameter.name)


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter.name)
def test_each_declaration_is_json_with_a_summary(parameter: Parameter) -> None:
    declaration = json.loads(json.dumps(parameter.as_json()))
    assert declaration["name"] == parameter.name
    assert declaration["summary"].endswith(".")
    assert declaration["allowed"]
    assert declaration["default"] is not None or declaration["default_note"] or parameter.name not in PAGE


def test_the_use_case_table_matches_the_page() -> None:
    rows = [tuple(cell.strip() for cell in line.split("|")) for line in TABLE.strip().splitlines()]
    assert [(u.name, u.temperature, u.top_p, u.max_tokens, u.other) for u in USE_CASES] == rows


@pytest.mark.parametrize("use_case", USE_CASES, ids=lambda use_case: use_case.name)
def test_the_settings_of_every_use_case_are_fields_that_the_server_accepts(use_case: UseCase) -> None:
    for temperature in use_case.temperature.split(" - "):
        BY_NAME["temperature"].kind.parse(float(temperature), "temperature")
    for name, value in use_case.settings.items():
        BY_NAME[name].kind.parse(value, name)


def test_the_settings_of_a_use_case_have_the_middle_of_a_range() -> None:
    settings = {use_case.name: use_case.settings for use_case in USE_CASES}
    assert settings["Code generation"] == {"temperature": 0.1, "top_p": 0.95, "max_tokens": 2048, "stop": ["```"]}
    assert settings["Data extraction"]["response_format"] == {"type": "json_object"}
    assert settings["Chatbot"]["frequency_penalty"] == 0.3
