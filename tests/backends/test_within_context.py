"""A max_tokens that exceeds the context is lowered to what fits, and never causes a refusal."""

from dataclasses import dataclass, field, replace

import pytest

from oruel.backends.within_context import WithinContext
from oruel.errors import ContextLengthExceeded, InvalidParameter
from oruel.types import Answer, ChatRequest, Delta, Message, Prepared, SamplingParams, Usage
from tests.fakes import FakeBackend, doing

pytestmark = pytest.mark.anyio

CONTEXT, PROMPT = 100, 30
REQUEST = ChatRequest("id", "mine", (Message("user", "Hello"),), SamplingParams(), n=2)


@dataclass
class Strict:
    """Like SGLang, refuses requests whose prompt and max_tokens exceed the context."""

    refuses_all: bool = False
    asked: list[int | None] = field(default_factory=list)

    async def stream(self, request: ChatRequest) -> Answer:
        yield Prepared(1000, request.max_tokens or 1000)
        self.asked.append(request.max_tokens)
        if self.refuses_all or PROMPT + (request.max_tokens or 0) > CONTEXT:
            raise InvalidParameter("too many tokens")
        tokens = request.max_tokens or 5
        yield Delta(0, "m", "standard", text="x")
        yield Delta(0, "m", "standard", finish="length", usage=Usage(PROMPT, tokens * request.n))


async def answer(server: Strict, max_tokens: int | None) -> Delta:
    backend = WithinContext(server, CONTEXT)
    items = [item async for item in backend.stream(replace(REQUEST, max_tokens=max_tokens))]
    assert isinstance(items[-1], Delta)
    return items[-1]


@pytest.mark.parametrize("max_tokens", [71, 99, 100, 131072])
async def test_max_tokens_is_lowered_to_what_fits_after_the_prompt(max_tokens: int) -> None:
    last = await answer(Strict(), max_tokens)
    assert (last.finish, last.usage) == ("length", Usage(PROMPT, 2 * (CONTEXT - PROMPT)))


@pytest.mark.parametrize(("max_tokens", "most"), [(None, CONTEXT), (5, 5), (1000, CONTEXT - 1)])
async def test_a_preparation_never_exceeds_the_context(max_tokens: int | None, most: int) -> None:
    stream = WithinContext(Strict(), CONTEXT).stream(replace(REQUEST, max_tokens=max_tokens))
    assert await anext(stream) == Prepared(CONTEXT, most)
    await stream.aclose()


@pytest.mark.parametrize("max_tokens", [None, 1, 70])
async def test_a_request_that_fits_is_sent_once_and_unchanged(max_tokens: int | None) -> None:
    server = Strict()
    await answer(server, max_tokens)
    assert server.asked == [max_tokens]


@pytest.mark.parametrize("max_tokens", [None, 70, 99])
async def test_a_request_refused_for_another_reason_stays_refused(max_tokens: int | None) -> None:
    with pytest.raises(InvalidParameter, match="too many tokens"):
        await answer(Strict(refuses_all=True), max_tokens)


async def test_a_request_that_must_fit_is_never_sent_twice() -> None:
    server = Strict(refuses_all=True)
    backend = WithinContext(server, 4096)
    with pytest.raises(InvalidParameter):
        _ = [delta async for delta in backend.stream(replace(REQUEST, max_tokens=1000))]
    assert server.asked == [1000]


async def test_a_prompt_beyond_the_context_stays_refused() -> None:
    full = FakeBackend(doing(ContextLengthExceeded("the prompt has 120 tokens, the context 100", param="messages")))
    with pytest.raises(ContextLengthExceeded, match="120 tokens"):
        _ = [delta async for delta in WithinContext(full, CONTEXT).stream(replace(REQUEST, max_tokens=10))]
