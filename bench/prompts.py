"""Requests of a known length, the same for both servers."""

import random
import string
from pathlib import Path
from typing import Any

from oruel.llama.model import Model

# The defaults of llama.cpp's server, sent to both servers.
SAMPLING = {"temperature": 0.7, "top_k": 40, "top_p": 0.95, "min_p": 0.05}


class Prompts:
    """Texts of random letters, each about one token, the same in every run. Requests ban the end tokens."""

    def __init__(self, model: Path, seed: int) -> None:
        self._random = random.Random(seed)
        with Model(model, vocabulary_only=True) as loaded:
            vocabulary = loaded.vocabulary
            self._ends = {str(token): -100 for token in range(vocabulary.size) if vocabulary.is_end(token)}

    def text(self, tokens: int) -> str:
        return "".join(self._random.choices(string.ascii_uppercase, k=tokens))

    def body(self, *contents: str, max_tokens: int, **more: Any) -> dict[str, Any]:
        """A streamed request. `contents` are the messages of user and assistant in turn, the user's first."""
        messages = [
            {"role": "assistant" if place % 2 else "user", "content": content} for place, content in enumerate(contents)
        ]
        return {
            "model": "bench",
            "messages": messages,
            "max_tokens": max_tokens,
            "logit_bias": self._ends,
            "stream": True,
            "stream_options": {"include_usage": True},
            **SAMPLING,
            **more,
        }
