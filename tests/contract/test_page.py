"""The parameter page: each of its code samples, unchanged, through the official client."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError, OpenAI

pytestmark = pytest.mark.model

PAGE = (Path(__file__).parent / "inference-parameters.txt").read_text()
SAMPLES = re.findall(r"^response = client\.chat\.completions\.create\(\n.*?^\)$", PAGE, re.MULTILINE | re.DOTALL)
JSON_MODE = [sample for sample in SAMPLES if "json_object" in sample]
WORDS = [sample for sample in SAMPLES if sample not in JSON_MODE]


def run(sample: str, client: OpenAI) -> Any:
    names: dict[str, Any] = {"client": client}
    exec(sample, names)
    return names["response"]


def sample_with(words: str) -> str:
    found: list[str] = [sample for sample in SAMPLES if words in sample]
    assert len(found) == 1
    return found[0]


def prompt_of(sample: str) -> str:
    return str(re.findall(r'"content": "([^"]+)"', sample)[0])


def test_the_page_has_the_samples_that_these_tests_are_about() -> None:
    assert len(WORDS) == 14
    assert len(JSON_MODE) == 1


@pytest.mark.parametrize("sample", WORDS, ids=prompt_of)
def test_the_sample_runs_unchanged_and_is_answered_in_words(sample: str, client: OpenAI) -> None:
    response = run(sample, client)
    (choice,) = response.choices
    assert response.model == "oruel-demo", "the response says which model really answered"
    assert choice.finish_reason in {"stop", "length"}
    # Names of one letter are words too: half of `gcd(a, b)` is made of them.
    words = re.findall(r"[A-Za-z]+|\d+", choice.message.content)
    letters = sum(map(len, words))
    assert words or "stop=" in sample, "an answer, unless it began with the stop sequence"
    assert letters >= 0.5 * len("".join(choice.message.content.split())), f"noise: {choice.message.content!r}"
    assert response.usage.total_tokens == response.usage.prompt_tokens + response.usage.completion_tokens


def test_json_mode_answers_with_an_object(client: OpenAI) -> None:
    for _ in range(3):
        assert isinstance(json.loads(run(JSON_MODE[0], client).choices[0].message.content), dict)


@pytest.mark.parametrize("max_tokens", [2, 5, 20])
def test_json_mode_completes_within_max_tokens_also_when_streamed(max_tokens: int, client: OpenAI) -> None:
    asked: dict[str, Any] = {
        "model": "llama-4-maverick",
        "messages": [{"role": "user", "content": "Name three fruits, in JSON."}],
        "response_format": {"type": "json_object"},
        "max_tokens": max_tokens,
        "temperature": 2.0,
        "seed": 3,
    }
    choice = client.chat.completions.create(**asked).choices[0]
    chunks = list(client.chat.completions.create(**asked, stream=True))
    assert isinstance(json.loads(choice.message.content or ""), dict)
    assert choice.finish_reason in {"length", "stop"}
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == choice.message.content


def test_json_mode_requires_json_in_a_message(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.chat.completions.create(
            model="llama-4-maverick",
            messages=[{"role": "user", "content": "Name three fruits."}],
            response_format={"type": "json_object"},
        )
    assert refused.value.param == "messages"


def test_temperature_0_is_always_the_same_answer(client: OpenAI) -> None:
    answers = {run(sample_with("temperature=0,"), client).choices[0].message.content for _ in range(3)}
    assert len(answers) == 1


def test_temperature_above_1_varies_from_call_to_call(client: OpenAI) -> None:
    answers = {run(sample_with("temperature=1.2"), client).choices[0].message.content for _ in range(4)}
    assert len(answers) > 1


def test_a_seed_repeats_its_answer(client: OpenAI) -> None:
    answers = {run(sample_with("seed=42"), client).choices[0].message.content for _ in range(3)}
    assert len(answers) == 1


def test_max_tokens_bounds_the_answer(client: OpenAI) -> None:
    response = run(sample_with("max_tokens=50"), client)
    assert response.usage.completion_tokens <= 50


@pytest.mark.parametrize(
    ("words", "stops"), [("List 3 fruits", ["\n4.", "\n\n"]), ("Write a Python function", ["```"])]
)
def test_no_stop_sequence_is_in_the_answer(words: str, stops: list[str], client: OpenAI) -> None:
    content = run(sample_with(words), client).choices[0].message.content
    assert not any(stop in content for stop in stops)


def test_both_tiers_are_served_and_echoed(client: OpenAI) -> None:
    assert run(sample_with('"tier": "turbo"'), client).tier == "turbo"
    assert run(sample_with("Tell me a joke"), client).tier == "standard"
