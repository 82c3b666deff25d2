"""The upper bound on a prompt's tokens, against a tokenizer whose tokens are bytes where it knows no better."""

import random
from pathlib import Path

import pytest

from oruel.backends.prompt_bound import most_prompt_tokens
from oruel.llama.model import Model
from oruel.text.tokenizer import Tokenizer
from oruel.types import ChatRequest, Message, SamplingParams, Tool, ToolCall, ToolChoice
from tests.gguf_models import llama_model

pytestmark = pytest.mark.model

ALPHABET = ["a", " ", "\x01", "\n", '"', "\\", "é", "日", "\U0001f600"]


def some_text(chance: random.Random) -> str:
    return "".join(chance.choices(ALPHABET, k=chance.randrange(40)))


def some_request(chance: random.Random) -> ChatRequest:
    called = Message("assistant", some_text(chance), tool_calls=(ToolCall("id", "f", '{"a": 1}'),))
    spoken = [Message("user", some_text(chance)), called, Message("tool", some_text(chance), "f", tool_call_id="id")]
    messages = tuple(message for _ in range(chance.randrange(1, 20)) for message in spoken)
    tools = tuple(Tool(f"f{number}", some_text(chance)) for number in range(chance.randrange(5)))
    choice = ToolChoice("auto", tuple(tool.name for tool in tools)) if tools else ToolChoice()
    return ChatRequest("id", "m", messages, SamplingParams(), tools=tools, tool_choice=choice)


def test_no_prompt_has_more_tokens_than_its_bound(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    with Model(llama_model(tmp_path), vocabulary_only=True) as model:
        tokenizer = Tokenizer(model.vocabulary, model.chat_template, describes_tools=True)
        for _ in range(100):
            request = some_request(chance)
            assert len(tokenizer.encode_request(request).tokens) <= most_prompt_tokens(request)
