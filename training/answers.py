"""Answers of the exported file, through the project's own binding of libllama, and of the network in torch."""

from pathlib import Path

import numpy
import torch

from oruel.llama.context import Context
from oruel.llama.model import Model as GgufModel
from training.chatml import CONTEXT_LENGTH, prompt_text
from training.model import Llama, Shape
from training.phrases import Conversation


class Exported:
    """The GGUF file, one conversation at a time."""

    def __init__(self, path: Path) -> None:
        self.model = GgufModel(path)
        self.vocabulary = self.model.vocabulary
        self.context = Context(self.model, window=CONTEXT_LENGTH, sequences=1, batch=CONTEXT_LENGTH, threads=1)

    def logits(self, tokens: list[int], first: int) -> numpy.ndarray:
        """Logits after the last of `tokens`, which stand from position `first` on."""
        positions = list(range(first, first + len(tokens)))
        asked = [False] * (len(tokens) - 1) + [True]
        return self.context.decode(tokens, positions, [0] * len(tokens), asked)[0].astype(numpy.float64)

    def continued(self, tokens: list[int], limit: int, temperature: float, seed: int) -> list[int]:
        """At most `limit` tokens after `tokens`, the last of them the end of the turn where it comes."""
        generator = numpy.random.default_rng(seed)
        self.context.forget(0)
        written: list[int] = []
        logits = self.logits(tokens, 0)
        while len(written) < limit:
            written.append(chosen(logits, temperature, generator))
            if self.vocabulary.is_end(written[-1]) or len(tokens) + len(written) == CONTEXT_LENGTH:
                break
            logits = self.logits(written[-1:], len(tokens) + len(written) - 1)
        return written

    def answer(self, conversation: Conversation, limit: int = 900, temperature: float = 0.0, seed: int = 1) -> str:
        tokens = self.vocabulary.tokenize(prompt_text(conversation), special=True)
        written = self.continued(tokens, limit, temperature, seed)
        return b"".join(map(self.vocabulary.piece, written)).decode(errors="replace")


def chosen(logits: numpy.ndarray, temperature: float, generator: numpy.random.Generator) -> int:
    if temperature == 0:
        return int(logits.argmax())
    weights = numpy.exp((logits - logits.max()) / temperature)
    return int(generator.choice(len(weights), p=weights / weights.sum()))


class Trained:
    """The checkpoint in torch, as the reference for the exported file."""

    def __init__(self, checkpoint: Path) -> None:
        state = torch.load(checkpoint, map_location="cpu")
        self.model = Llama(Shape(**state["shape"]))
        self.model.load_state_dict(state["model"])

    @torch.no_grad()
    def gaps(self, tokens: list[int], written: list[int]) -> list[float]:
        """For each of the tokens `written` after `tokens`, how many nats torch rates its first choice above it."""
        features = self.model.features(torch.tensor([tokens + written[:-1]]))
        logits = self.model.logits(features[0, len(tokens) - 1 :])
        return (logits.max(dim=-1).values - logits[torch.arange(len(written)), written]).tolist()
