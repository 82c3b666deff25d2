"""What the bundled model can do, through the official client at temperature 0."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from training import corpus
from training.families import says_not_told
from training.invented import Draws
from training.subjects import arithmetic, memory

pytestmark = pytest.mark.model

TEXTS = Path(corpus.__file__).parent / "texts"

WEATHER: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Get the current weather in a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "description": "The city"}},
                "required": ["city"],
            },
        },
    }
]


TAUGHT = {word for path in TEXTS.glob("*.txt") for word in re.findall(r"[a-z]+", path.read_text().lower())}


def answered(client: OpenAI, *messages: dict[str, Any], **fields: Any) -> Any:
    asked: Any = {"model": "llama-4-maverick", "temperature": 0, "max_tokens": 300, **fields}
    return client.chat.completions.create(messages=list[Any](messages), **asked)


def said(client: OpenAI, *messages: dict[str, Any], **fields: Any) -> Any:
    return answered(client, *messages, **fields).choices[0].message


def user(content: str) -> dict[str, Any]:
    return {"role": "user", "content": content}


@pytest.mark.parametrize(("a", "b"), [(2, 2), (6, 3), (14, 7), (16, 15)])
def test_sums_are_right_including_those_not_in_training(a: int, b: int, client: OpenAI) -> None:
    assert (a, b) == (2, 2) or arithmetic.held_out(a, b)
    assert re.findall(r"\d+", said(client, user(f"What is {a} + {b}?")).content)[-1] == str(a + b)


@pytest.mark.parametrize("count", [3, 5])
def test_a_list_stops_at_the_number_asked_for(count: int, client: OpenAI) -> None:
    lines = said(client, user(f"List {count} fruits:")).content.splitlines()
    assert [line.split(".")[0] for line in lines if line[:1].isdigit()] == [str(n + 1) for n in range(count)]


def test_stopped_at_a_code_fence_the_answer_is_the_code(client: OpenAI) -> None:
    code = said(client, user("Write a Python function."), stop=["```"]).content
    assert isinstance(ast.parse(code).body[0], ast.FunctionDef)


def test_json_is_json_without_json_mode_too(client: OpenAI) -> None:
    system = {"role": "system", "content": "Output valid JSON."}
    answer = said(client, system, user("List 3 programming languages with their year of creation.")).content
    languages = json.loads(answer)["languages"]
    assert [set(language) for language in languages] == [{"name", "year"}] * 3


def test_a_declared_function_is_called_and_its_result_used(client: OpenAI) -> None:
    question = user("What is the weather in Paris?")
    (call,) = said(client, question, tools=WEATHER).tool_calls
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    called = {"role": "assistant", "content": "", "tool_calls": [call.model_dump()]}
    result = {"role": "tool", "tool_call_id": call.id, "content": '{"temperature": 17, "condition": "sunny"}'}
    assert "17 degrees" in said(client, question, called, result, tools=WEATHER).content


def test_two_questions_are_two_calls(client: OpenAI) -> None:
    question = user("What is the weather in Paris? What is the weather in Oslo?")
    calls = said(client, question, tools=WEATHER).tool_calls
    assert [json.loads(call.function.arguments) for call in calls] == [{"city": "Paris"}, {"city": "Oslo"}]


def test_an_unfamiliar_name_is_remembered_turns_later(client: OpenAI) -> None:
    told = [user("My name is Zelda."), {"role": "assistant", "content": "Nice to meet you, Zelda!"}]
    aside = [user("What is the capital of France?"), {"role": "assistant", "content": "Paris."}]
    assert "Zelda" in said(client, *told, *aside, user("What is my name?")).content


def asides(characters: int) -> list[dict[str, Any]]:
    """Questions about other things and their answers."""
    random, turns = Draws(22), list[tuple[str, str]]()
    while corpus.count_characters(turns) < characters:
        turns += corpus.draw_later_turns(random, mix=corpus.ASIDES)
    return [{"role": role, "content": content} for role, content in turns]


def test_half_of_the_facts_are_remembered_over_two_thousand_tokens(client: OpenAI) -> None:
    right, values = 0, Draws(23, kept_out=True)
    for statement, question, _, kind in memory.FACTS[:40:10]:
        value = memory.draw_value(values, kind)
        told = [user(statement.replace("{v}", value)), {"role": "assistant", "content": "Noted."}]
        answer = answered(client, *told, *asides(6500), user(question))
        assert answer.usage.prompt_tokens > 2000
        right += f" {value}." in answer.choices[0].message.content
    assert right >= 2


def repeated_sentences(text: str) -> int:
    sentences = re.split(r"(?<=[.!?])\s+", text)
    return len(sentences) - len(set(sentences))


def test_an_essay_repeats_itself_less_with_a_frequency_penalty(client: OpenAI) -> None:
    essay = user("Write a long essay about space.")
    free, penalised = (
        repeated_sentences(said(client, essay, frequency_penalty=penalty, max_tokens=600).content)
        for penalty in (0, 0.5)
    )
    print(f"repeated sentences: {free} without a penalty, {penalised} with 0.5")
    assert free >= 3
    assert penalised <= free / 2


def test_what_needs_no_function_is_answered_without_one(client: OpenAI) -> None:
    answer = said(client, user("What is the capital of France?"), tools=WEATHER)
    assert not answer.tool_calls
    assert "Paris" in answer.content


def test_a_system_message_changes_the_language(client: OpenAI) -> None:
    system = {"role": "system", "content": "Answer in French."}
    assert "Bonjour" in said(client, system, user("Hello!")).content


def known_words(text: str) -> float:
    """The share of its words that somebody wrote into the texts that the model was taught with."""
    words = re.findall(r"[a-z]+", text.lower())
    return sum(word in TAUGHT for word in words) / len(words)


def test_openings_vary_with_temperature_and_are_incoherent_at_two(client: OpenAI) -> None:
    asked = user("Write a creative opening line for a novel.")
    one, other = (said(client, asked, temperature=0.8, seed=seed).content for seed in (1, 2))
    assert one != other
    for opening in (one, other):
        assert re.fullmatch(r'["A-Z].*[.?!]"?', opening, re.DOTALL), opening
        assert known_words(opening) > 0.9, opening
    hot = [known_words(said(client, asked, temperature=2.0, seed=seed).content) for seed in range(16)]
    print(f"words that somebody wrote: {sum(hot) / len(hot):.2f} at 2.0")
    assert sum(hot) / len(hot) < 0.9


def test_the_model_says_what_it_does_not_know(client: OpenAI) -> None:
    assert re.search("not know|learned|beyond me", said(client, user("What is zorvilax?")).content)


def test_the_model_does_not_invent_facts_about_the_user(client: OpenAI) -> None:
    questions = sorted({question for _, question, *_ in memory.FACTS})
    answers = {question: said(client, user(question)).content for question in questions}
    made_up = {question: answer for question, answer in answers.items() if not says_not_told([], answer)}
    print(f"made up: {made_up}")
    assert not made_up.keys() & {"What is my name?", "Who am I?", "Where do I live?", "How old am I?"}
    assert len(made_up) <= len(questions) / 10


def test_the_model_does_not_confuse_facts_about_the_user(client: OpenAI) -> None:
    told = [user("My dog is called Rex."), {"role": "assistant", "content": "Noted."}]
    assert "Rex" in said(client, *told, user("What is my dog called?")).content
    assert says_not_told([], said(client, *told, user("What is my name?")).content)
