"""The libraries that applications are written with get what they ask for: LangChain, instructor, the Agents SDK."""

import asyncio
import warnings
from collections.abc import Iterator
from typing import Literal

import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from tests.gguf_models import tool_model
from tests.server import oruel_serve

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

QUESTION = "Who is it? Answer in JSON."


class Person(BaseModel):
    """Somebody."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=12)
    age: int = Field(ge=0, le=150)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with oruel_serve("--model", str(tool_model(tmp_path_factory.mktemp("model")))) as running:
        yield running.base_url


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_langchain_gets_structured_output(url: str, method: Literal["json_schema", "function_calling"]) -> None:
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(model="tools", base_url=url, api_key=SecretStr("x"), max_completion_tokens=300, temperature=1.5)
    assert isinstance(chat.with_structured_output(Person, method=method).invoke(QUESTION), Person)


def test_langchain_binds_tools(url: str) -> None:
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(model="tools", base_url=url, api_key=SecretStr("x"), max_completion_tokens=300)
    bound = chat.bind_tools([Person], tool_choice="any", parallel_tool_calls=False)
    answer = bound.invoke(QUESTION)
    [call] = answer.tool_calls
    assert Person.model_validate(call["args"])
    again = bound.invoke([HumanMessage(QUESTION), answer, ToolMessage("done", tool_call_id=call["id"] or "")])
    assert len(again.tool_calls) == 1
    chunks = list(bound.stream(QUESTION))
    joined = sum(chunks[1:], start=chunks[0])
    assert Person.model_validate(joined.tool_calls[0]["args"])


@pytest.mark.parametrize("mode", ["TOOLS", "JSON_SCHEMA"])
def test_instructor_gets_its_model(url: str, mode: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import instructor

        with OpenAI(base_url=url, api_key="x") as openai:
            client = instructor.from_openai(openai, mode=getattr(instructor.Mode, mode))
            person = client.chat.completions.create(
                model="tools",
                messages=[{"role": "user", "content": QUESTION}],
                response_model=Person,
                max_tokens=300,
                max_retries=0,
            )
    assert isinstance(person, Person)


def test_the_agents_sdk_calls_its_tool_and_goes_on(url: str) -> None:
    import agents

    asked: list[str] = []

    @agents.function_tool
    def toss(side: Literal["heads", "tails"]) -> str:
        """Whether the coin fell so."""
        asked.append(side)
        return "yes"

    async def run() -> agents.RunResult:
        async with AsyncOpenAI(base_url=url, api_key="x") as openai:
            agent = agents.Agent(
                name="fortune teller",
                instructions="Call the tool.",
                model=agents.OpenAIChatCompletionsModel(model="tools", openai_client=openai),
                tools=[toss],
                model_settings=agents.ModelSettings(tool_choice="required", max_tokens=200, parallel_tool_calls=False),
            )
            return await agents.Runner.run(agent, QUESTION)

    agents.set_tracing_disabled(True)
    result = asyncio.run(run())
    assert len(asked) == 1
    assert isinstance(result.final_output, str)
