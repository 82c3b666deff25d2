"""Random questions for token engines, with parameters from all steps of the order."""

import random
from typing import Any

from oruel.text.tokenizer import Tokenizer
from oruel.types import Message, SamplingParams
from tests.vllm.asking import Question

# Those of the page, and one more, that the demo model answers at length.
PROMPTS = (
    "Explain quantum computing.",
    "Write a detailed tutorial on Docker.",
    "Write a story.",
    "Brainstorm business ideas.",
    "Generate a creative poem.",
    "What is Python?",
    "Write a long essay about space.",
)
SETTINGS: list[dict[str, Any]] = [
    {"temperature": 0.7},
    {"temperature": 1.2, "top_k": 40, "top_p": 0.9},
    {"temperature": 1.0, "min_p": 0.05, "repetition_penalty": 1.2},
    {"temperature": 0.9, "frequency_penalty": 0.5, "presence_penalty": 0.4},
    {"temperature": 1.2, "top_p": 0.95, "logit_bias": {300: 0.5, 301: -5.0}},
    {"temperature": 0.0, "frequency_penalty": 0.3},
]


def random_questions(tokenizer: Tokenizer, count: int, max_tokens: int, seed: int) -> list[Question]:
    chance = random.Random(seed)
    return [random_question(tokenizer, max_tokens, chance) for _ in range(count)]


def random_question(tokenizer: Tokenizer, max_tokens: int, chance: random.Random) -> Question:
    prompt = tokenizer.encode_messages([Message("user", chance.choice(PROMPTS))], {})
    sampling = SamplingParams(seed=chance.randrange(-(2**63), 2**63), **chance.choice(SETTINGS))
    return Question(prompt, sampling, max_tokens)
