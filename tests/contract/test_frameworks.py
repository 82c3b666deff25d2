"""The libraries that applications are written with get what they ask for: LangChain, instructor, the Agents SDK."""

import asyncio
import warnings
from datetime import date, datetime
from typing import Any, Literal

import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from tests.server import RunningServer

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

QUESTION = "Who is it? Answer in JSON."


class Person(BaseModel):
    """Somebody."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=12)
    age: int = Field(ge=0, le=150)


@pytest.fixture(scope="module")
def url(tools_server: RunningServer) -> str:
    return tools_server.base_url


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_langchain_gets_structured_output(url: str, method: Literal["json_schema", "function_calling"]) -> None:
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(model="tools", base_url=url, api_key=SecretStr("x"), max_completion_tokens=300, temperature=1.5)
    assert isinstance(chat.with_structured_output(Person, method=method).invoke(QUESTION), Person)


# LangChain writes out its own message with what was parsed in it.
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")
def test_langchain_streams_structured_output(url: str) -> None:
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(model="tools", base_url=url, api_key=SecretStr("x"), max_completion_tokens=300)
    *_, last = chat.with_structured_output(Person, method="json_schema").stream(QUESTION)
    assert isinstance(last, Person)


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
def test_instructor_gets_its_response_model(url: str, mode: str) -> None:
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


def test_instructor_streams_its_model_in_parts(url: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import instructor

        with OpenAI(base_url=url, api_key="x") as openai:
            client = instructor.from_openai(openai, mode=instructor.Mode.JSON_SCHEMA)
            parts = list(
                client.chat.completions.create_partial(
                    model="tools",
                    messages=[{"role": "user", "content": QUESTION}],
                    response_model=Person,
                    max_tokens=300,
                    max_retries=0,
                )
            )
    assert Person.model_validate(parts[-1].model_dump())


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
def test_the_agents_sdk_gets_its_output_type(url: str, streams: bool) -> None:
    import agents

    async def run() -> object:
        async with AsyncOpenAI(base_url=url, api_key="x") as openai:
            agent = agents.Agent(
                name="witness",
                instructions="Answer in JSON.",
                model=agents.OpenAIChatCompletionsModel(model="tools", openai_client=openai),
                output_type=Person,
                model_settings=agents.ModelSettings(max_tokens=300),
            )
            if not streams:
                return (await agents.Runner.run(agent, QUESTION)).final_output
            streaming = agents.Runner.run_streamed(agent, QUESTION)
            kinds = [event.type async for event in streaming.stream_events()]
            assert "raw_response_event" in kinds
            return streaming.final_output

    agents.set_tracing_disabled(True)
    assert isinstance(asyncio.run(run()), Person)


class Circle(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["circle"]
    radius: int = Field(ge=0, le=99)


class Square(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["square"]
    side: int = Field(ge=0, le=99)


class Drawing(BaseModel):
    model_config = ConfigDict(extra="forbid")
    shape: Circle | Square
    size: int | bool | None


class Meeting(BaseModel):
    model_config = ConfigDict(extra="forbid")
    at: datetime
    on: date


class Folder(BaseModel):
    """Holds at most one of its kind."""

    model_config = ConfigDict(extra="forbid")
    name: Literal["a", "b"]
    inner: "Folder | None"


class Tally(BaseModel):
    counts: dict[str, int]


@pytest.mark.parametrize("wanted", [Drawing, Meeting], ids=["unions", "dates"])
def test_the_official_client_parses_pydantic_models(url: str, wanted: type[BaseModel]) -> None:
    with OpenAI(base_url=url, api_key="x", max_retries=0) as client:
        for seed in range(3):
            answer = client.chat.completions.parse(
                model="tools",
                messages=[{"role": "user", "content": QUESTION}],
                response_format=wanted,
                max_tokens=300,
                seed=seed,
            )
            assert isinstance(answer.choices[0].message.parsed, wanted)


@pytest.mark.parametrize("wanted", [Tally, Folder], ids=["free names", "recursion"])
def test_documents_cut_by_max_tokens_are_valid(url: str, wanted: type[BaseModel]) -> None:
    described: Any = {"name": "wanted", "schema": wanted.model_json_schema()}
    with OpenAI(base_url=url, api_key="x", max_retries=0) as client:
        for seed in range(3):
            answer = client.chat.completions.create(
                model="tools",
                messages=[{"role": "user", "content": QUESTION}],
                response_format={"type": "json_schema", "json_schema": described},
                max_tokens=80,
                seed=seed,
            )
            assert wanted.model_validate_json(answer.choices[0].message.content or "")


def coin(asked: list[str]) -> Any:
    import agents

    @agents.function_tool
    def toss(side: Literal["heads", "tails"]) -> str:
        """Whether the coin fell so."""
        asked.append(side)
        return "yes"

    return toss


def test_the_agents_sdk_calls_its_tool_and_goes_on(url: str) -> None:
    import agents

    asked: list[str] = []

    async def run() -> agents.RunResult:
        async with AsyncOpenAI(base_url=url, api_key="x") as openai:
            agent = agents.Agent(
                name="fortune teller",
                instructions="Call the tool.",
                model=agents.OpenAIChatCompletionsModel(model="tools", openai_client=openai),
                tools=[coin(asked)],
                model_settings=agents.ModelSettings(tool_choice="required", max_tokens=200, parallel_tool_calls=False),
            )
            return await agents.Runner.run(agent, QUESTION)

    agents.set_tracing_disabled(True)
    result = asyncio.run(run())
    assert len(asked) == 1
    assert isinstance(result.final_output, str)


def test_the_agents_sdk_gets_its_output_type_from_an_agent_with_a_tool(url: str) -> None:
    import agents

    async def run(seed: int) -> object:
        async with AsyncOpenAI(base_url=url, api_key="x") as openai:
            agent = agents.Agent(
                name="witness",
                instructions="Answer in JSON.",
                model=agents.OpenAIChatCompletionsModel(model="tools", openai_client=openai),
                tools=[coin([])],
                output_type=Person,
                model_settings=agents.ModelSettings(max_tokens=300, extra_args={"seed": seed}),
            )
            return (await agents.Runner.run(agent, QUESTION)).final_output

    agents.set_tracing_disabled(True)
    for seed in range(3):
        assert isinstance(asyncio.run(run(seed)), Person)
