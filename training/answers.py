"""Answers of an exported file, through the project's own template, sampler and binding; and the network in torch."""

import json
from dataclasses import replace
from pathlib import Path

import torch

from oruel.llama.context import Context
from oruel.llama.model import Model as GgufModel
from oruel.sampling.sampler import Sampler
from oruel.text.prompt import PromptEncoder
from oruel.text.template import ChatTemplate
from oruel.types import Message, SamplingParams, Tool, ToolCall
from training.chatml import CONTEXT_LENGTH, messages_and_tools
from training.model import Llama, Shape
from training.phrases import Conversation

GREEDY = SamplingParams(temperature=0.0)


def request_of(conversation: Conversation) -> tuple[list[Message], list[Tool]]:
    """The conversation as the server takes it."""
    messages, tools = messages_and_tools(conversation)
    taken = [Message(message["role"], message["content"]) for message in messages]
    for index, message in enumerate(messages):
        calls = [each["function"] for each in message.get("tool_calls", [])]
        written = (ToolCall(f"call_{index}", call["name"], json.dumps(call["arguments"])) for call in calls)
        taken[index] = replace(taken[index], tool_calls=tuple(written))
    functions = (tool["function"] for tool in tools)
    return taken, [Tool(each["name"], each["description"], each["parameters"]) for each in functions]


class Exported:
    """The GGUF file, one conversation at a time."""

    def __init__(self, path: Path) -> None:
        self.model = GgufModel(path)
        self.vocabulary = self.model.vocabulary
        self.template = ChatTemplate(self.model.chat_template or "")
        self.encoder = PromptEncoder(self.vocabulary, self.template)
        self.context = Context(self.model, window=CONTEXT_LENGTH, sequences=1, batch=CONTEXT_LENGTH, threads=1)
        self.size = len(self.context.decode([0], [0], [0], [True])[0])

    def prompt(self, conversation: Conversation) -> list[int]:
        messages, tools = request_of(conversation)
        return self.encoder.encode(messages, {}, tools)

    def continued(self, tokens: list[int], limit: int, params: SamplingParams) -> list[int]:
        """At most `limit` tokens after `tokens`, the last of them the end of the turn where it comes."""
        sampler = Sampler(params, 0, self.size)
        self.context.forget(0)
        written: list[int] = []
        fed, first = tokens, 0
        while len(written) < limit and first + len(fed) <= CONTEXT_LENGTH:
            positions = list(range(first, first + len(fed)))
            asked = [False] * (len(fed) - 1) + [True]
            written.append(sampler.sample(self.context.decode(fed, positions, [0] * len(fed), asked)[0]))
            sampler.accept(written[-1])
            if self.vocabulary.is_end(written[-1]):
                break
            first += len(fed)
            fed = written[-1:]
        return written

    def answer(self, conversation: Conversation, limit: int = 900, params: SamplingParams = GREEDY) -> str:
        written = self.continued(self.prompt(conversation), limit, params)
        pieces = (self.vocabulary.piece(token) for token in written if not self.vocabulary.is_end(token))
        return b"".join(pieces).decode(errors="replace")


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
