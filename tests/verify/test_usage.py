"""Prompt tokens are counted by each server's own tokenizer, where it has one."""

import json

import pytest

from oruel.errors import NotFound
from oruel.types import Message
from oruel.verify.checks.usage import off_by, root_of
from oruel.verify.reply import Json
from tests.asgi import Message as Scope
from tests.verify.asking import verdict_of
from tests.verify.faults_answers import PromptUsageOneLess
from tests.verify.toy_model import Prompt, encode, read_prompt
from tests.verify.toy_server import Receive, Send, ToyServer, read_body, send_json

pytestmark = pytest.mark.anyio


class LlamaTokenizer(ToyServer):
    """llama.cpp's server has no /tokenize for messages: /apply-template gives the text that is tokenized then."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["path"]:
            case "/apply-template":
                text = json.loads(await read_body(receive))["messages"][0]["content"]
                await send_json(send, 200, {"prompt": text})
            case "/tokenize":
                body = json.loads(await read_body(receive))
                text = body.get("content")
                template = len(read_prompt((Message("user", ""),), 0).ids)
                tokens = [] if text is None else [0] * template + list(encode(text))
                await send_json(send, 200, {"tokens": tokens})
            case _:
                await super().__call__(scope, receive, send)


class KeepsPrompts(ToyServer):
    """Caches whole prompts for ever."""

    def __init__(self, entropy: int = 0) -> None:
        super().__init__(entropy)
        self.kept = set[tuple[int, ...]]()

    def usage(self, prompt: Prompt, completion_tokens: int) -> Json:
        cached = len(prompt.ids) if prompt.ids in self.kept else 0
        self.kept.add(prompt.ids)
        return {**super().usage(prompt, completion_tokens), "prompt_tokens_details": {"cached_tokens": cached}}


class LlamaTokenizerOneLess(PromptUsageOneLess, LlamaTokenizer):
    pass


class NoTokenizer(ToyServer):
    async def route(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/tokenize":
            raise NotFound("There is no such endpoint.")
        await super().route(scope, receive, send)


async def test_llama_cpp_s_two_steps_count_the_prompt() -> None:
    assert (await verdict_of("usage.prompt", LlamaTokenizer())).outcome == "honoured"
    assert (await verdict_of("usage.prompt", LlamaTokenizerOneLess())).how == "prompt_tokens is 1 too low"


async def test_without_a_tokenizer_nothing_is_told() -> None:
    assert (await verdict_of("usage.prompt", NoTokenizer())).outcome == "can't tell"


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1/inference"])
def test_the_tokenizer_is_at_the_server_s_root(url: str) -> None:
    assert root_of(url) == "http://127.0.0.1:8000"


def test_a_wrong_count_says_by_how_much() -> None:
    assert off_by(2) == "prompt_tokens is 2 too high"
    assert off_by(-1) == "prompt_tokens is 1 too low"


async def test_a_second_run_with_the_same_seed_sends_another_new_prompt() -> None:
    server = KeepsPrompts()
    assert [(await verdict_of("usage.cached", server)).outcome for _ in range(2)] == ["honoured", "honoured"]
