"""Fakes that play scripts and record what they were asked."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from oruel.jobs.base import A, Kind, Q, Work
from oruel.jobs.child import decode_value, encode_value, work_types
from oruel.types import Accepted, Answer, ChatRequest, Delta, Message, Prepared, TokenLogprob, Usage

Step = Prepared | Accepted | Delta | Exception | float | asyncio.Event
Script = Callable[[ChatRequest], Iterable[Step]]

MODEL = "demo"
PREPARED = Prepared(prompt_tokens=7, max_tokens=16)


def delta(text: str = "", *, choice: int = 0, **fields: Any) -> Delta:
    return Delta(choice=choice, model=MODEL, tier=fields.pop("tier", "standard"), text=text, **fields)


def saying(*pieces: str) -> Script:
    """A script in which each choice sends all pieces, then stops; the last delta carries the usage."""

    def script(request: ChatRequest) -> Iterable[Step]:
        usage = Usage(prompt_tokens=7, completion_tokens=len(pieces) * request.n, cached_tokens=3)
        for choice in range(request.n):
            for piece in pieces:
                yield delta(piece, choice=choice, tier=request.tier, logprobs=logprobs(piece, request))
            last = choice == request.n - 1
            yield delta(choice=choice, tier=request.tier, finish="stop", usage=usage if last else None)

    return script


def logprobs(piece: str, request: ChatRequest) -> tuple[TokenLogprob, ...]:
    if request.sampling.logprobs is None:
        return ()
    return (TokenLogprob(id=len(piece), bytes=piece.encode(), logprob=-0.5),)


async def deltas_of(answer: Answer) -> list[Delta]:
    """The whole answer without what precedes its deltas."""
    return [item async for item in answer if isinstance(item, Delta)]


def doing(*steps: Step) -> Script:
    return lambda request: steps


class FakeBackend:
    """Yields PREPARED, then plays a script: yields its deltas, raises its exceptions, sleeps for its numbers (seconds),
    waits for its events.

    `requests` are those that were started, `computed` counts those that began their script, `open` the unfinished ones,
    `cut_short` those that were closed early.
    """

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or saying("Hello", " world")
        self.requests: list[ChatRequest] = []
        self.computed = 0
        self.open = 0
        self.cut_short = 0

    async def stream(self, request: ChatRequest) -> Answer:
        self.requests.append(request)
        self.open += 1
        try:
            yield PREPARED
            self.computed += 1
            for step in self.script(request):
                match step:
                    case Prepared() | Accepted() | Delta():
                        yield step
                    case Exception():
                        raise step
                    case asyncio.Event():
                        await step.wait()
                    case _:
                        await asyncio.sleep(step)
        except (GeneratorExit, asyncio.CancelledError):
            self.cut_short += 1
            raise
        finally:
            self.open -= 1


class FakeTokenizer:
    """One token per UTF-8 byte, whose id is the byte. Token 256 is the control token that starts a message."""

    longest_piece = 1

    def encode_text(self, text: str) -> list[int]:
        return list(text.encode())

    def encode_messages(self, messages: Sequence[Message], kwargs: Mapping[str, Any]) -> list[int]:
        return [token for message in messages for token in (256, *message.content.encode())]

    def piece(self, token: int) -> bytes:
        return b"" if token == 256 else bytes([token])

    def token_text(self, token: int) -> str:
        return "<|message|>" if token == 256 else chr(token)


class InProcessJobs:
    """Runs each job at once in this process, with questions and answers encoded as JSON. `kinds` records the jobs."""

    def __init__(self, tokenizers: Mapping[str, Any] | None = None) -> None:
        self.tokenizers = tokenizers or {}
        self.kinds: list[Kind] = []

    async def run(self, work: Work[Q, A], question: Q, *, kind: Kind, account: str = "", param: str | None = None) -> A:
        self.kinds.append(kind)
        asked, answered = work_types(work)
        answer: A = decode_value(
            encode_value(work(self.tokenizers, decode_value(encode_value(question), asked))), answered
        )
        return answer


async def until(condition: Callable[[], bool]) -> None:
    """Waits until `condition` holds. Raises TimeoutError after ten seconds."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)
