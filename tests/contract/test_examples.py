"""The first examples of the libraries' own documentation, with the bundled model at temperature 0."""

import warnings
from typing import Any

import pytest
from openai import OpenAI
from pydantic import BaseModel

pytestmark = pytest.mark.model

beyond_the_model = pytest.mark.xfail(reason="the demo model has not learned this form", strict=True)


class Person(BaseModel):
    name: str
    age: int
    city: str


class Event(BaseModel):
    name: str
    date: str
    participants: list[str]


class Joke(BaseModel):
    setup: str
    punchline: str


class Step(BaseModel):
    explanation: str
    output: str


class Math(BaseModel):
    steps: list[Step]
    final_answer: str


class User(BaseModel):
    name: str
    age: int


def parsed(client: OpenAI, wanted: type[BaseModel], question: str, system: str = "") -> Any:
    messages: list[Any] = [{"role": "system", "content": system}] if system else []
    answer = client.chat.completions.parse(
        model="oruel-demo",
        messages=[*messages, {"role": "user", "content": question}],
        response_format=wanted,
        temperature=0,
        max_tokens=200,
    )
    return answer.choices[0].message.parsed


def test_the_official_client_gets_a_person(client: OpenAI) -> None:
    person = parsed(client, Person, "John is 30 and lives in Paris.")
    assert person == Person(name="John", age=30, city="Paris")


@beyond_the_model
def test_the_official_client_gets_an_event(client: OpenAI) -> None:
    question = "Alice and Bob are going to a science fair on Friday."
    event = parsed(client, Event, question, system="Extract the event information.")
    assert (event.date, event.participants) == ("Friday", ["Alice", "Bob"])
    assert "science fair" in event.name.lower()


@beyond_the_model
def test_the_official_client_gets_a_joke(client: OpenAI) -> None:
    joke = parsed(client, Joke, "Tell me a joke.")
    assert joke.setup.endswith("?")
    assert joke.punchline


@beyond_the_model
def test_the_official_client_gets_a_solution_in_steps(client: OpenAI) -> None:
    system = "You are a helpful math tutor. Guide the user through the solution step by step."
    solution = parsed(client, Math, "how can I solve 8x + 7 = -23", system=system)
    assert solution.steps
    assert "x" in solution.final_answer


@beyond_the_model
def test_instructor_gets_a_user(client: OpenAI) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import instructor

        user = instructor.from_openai(client).chat.completions.create(
            model="oruel-demo",
            response_model=User,
            messages=[{"role": "user", "content": "Extract: Jason is 25 years old"}],
            temperature=0,
            max_tokens=200,
            max_retries=0,
        )
    assert user == User(name="Jason", age=25)
