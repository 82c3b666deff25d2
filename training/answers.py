"""Generates answers with an exported model, and compares them with the model in torch."""

import json
from dataclasses import replace
from pathlib import Path

import torch

from oruel.constraints.tokens import TokenTable
from oruel.engine.compiler import compile_request
from oruel.engine.protocol import SequenceFailed, Submit
from oruel.llama.context import Context
from oruel.llama.model import Model as GgufModel
from oruel.sampling.constraint import Constraint
from oruel.sampling.sampler import Sampler
from oruel.text.formats.reasoning import State
from oruel.text.tokenizer import Tokenizer
from oruel.types import ChatRequest, Message, SamplingParams, Tool, ToolCall, ToolChoice
from training.chatml import CONTEXT_LENGTH, messages_and_tools
from training.model import Llama, Shape
from training.phrases import Conversation

GREEDY = SamplingParams(temperature=0.0)


def build_request(conversation: Conversation) -> ChatRequest:
    """Converts the conversation to a request for the server."""
    messages, tools = messages_and_tools(conversation)
    taken = [Message(message["role"], message["content"]) for message in messages]
    for index, message in enumerate(messages):
        calls = [each["function"] for each in message.get("tool_calls", [])]
        written = (ToolCall(f"call_{index}", call["name"], json.dumps(call["arguments"])) for call in calls)
        taken[index] = replace(taken[index], tool_calls=tuple(written))
    functions = (tool["function"] for tool in tools)
    declared = tuple(Tool(each["name"], each["description"], each["parameters"]) for each in functions)
    choice = ToolChoice("auto", tuple(tool.name for tool in declared)) if declared else ToolChoice()
    return ChatRequest("", "", tuple(taken), GREEDY, tools=declared, tool_choice=choice)


def compile_constraint(tokens: TokenTable, submit: Submit) -> Constraint | SequenceFailed:
    """Compiles the constraint of `submit` in one go, as the engine's compiler does in pieces."""
    work = compile_request(tokens, submit, CONTEXT_LENGTH)
    while True:
        try:
            next(work)
        except StopIteration as ended:
            outcome: Constraint | SequenceFailed = ended.value
            return outcome


class ExportedModel:
    """Runs an exported GGUF file with Oru'el's template, sampler and bindings, one conversation at a time."""

    def __init__(self, path: Path) -> None:
        self.model = GgufModel(path)
        self.vocabulary = self.model.vocabulary
        self.tokens = TokenTable(self.vocabulary)
        self.tokenizer = Tokenizer(self.vocabulary, self.model.chat_template)
        self.context = Context(self.model, window=CONTEXT_LENGTH, sequences=1, batch=CONTEXT_LENGTH, threads=1)
        self.size = len(self.context.decode([0], [0], [0], [True])[0])

    def prompt(self, conversation: Conversation) -> list[int]:
        return self.tokenizer.encode_request(build_request(conversation)).tokens

    def build_constraint(self, request: ChatRequest, limit: int) -> Constraint | None:
        """The server's constraint for an answer of at most `limit` tokens; None if nothing constrains it."""
        spec = self.tokenizer.constraint(request, State.TEXT)
        if spec is None:
            return None
        constraint = compile_constraint(self.tokens, Submit(0, [], 0, limit, GREEDY, constraint=spec))
        assert not isinstance(constraint, SequenceFailed), constraint
        return constraint

    def generate(
        self, tokens: list[int], limit: int, params: SamplingParams, constraint: Constraint | None = None
    ) -> list[int]:
        """Generates at most `limit` tokens after `tokens`, up to and including the end of the turn."""
        sampler = Sampler(params, 0, self.size, constraint)
        self.context.forget(0)
        written: list[int] = []
        fed, first = tokens, 0
        while len(written) < limit and first + len(fed) <= CONTEXT_LENGTH:
            positions = list(range(first, first + len(fed)))
            asked = [False] * (len(fed) - 1) + [True]
            written.append(sampler.sample(self.context.decode(fed, positions, [0] * len(fed), asked)[0]))
            sampler.accept(written[-1])
            if self.vocabulary.is_end(written[-1]) or (constraint and constraint.is_complete):
                break
            first += len(fed)
            fed = written[-1:]
        return written

    def answer(
        self,
        conversation: Conversation,
        limit: int = 900,
        params: SamplingParams = GREEDY,
        *,
        is_constrained: bool = False,
    ) -> str:
        """`is_constrained`: calls are constrained to the declared functions, as in the server."""
        constraint = self.build_constraint(build_request(conversation), limit) if is_constrained else None
        return self.text(self.generate(self.prompt(conversation), limit, params, constraint))

    def respond(self, request: ChatRequest, limit: int) -> tuple[str, bool]:
        """The answer as the server constrains it, and whether it ended before the limit determined it."""
        constraint = self.build_constraint(request, limit)
        prompt = self.tokenizer.encode_request(request).tokens
        written = self.generate(prompt, limit, request.sampling, constraint)
        is_complete = self.vocabulary.is_end(written[-1]) or (constraint is not None and constraint.is_complete)
        return self.text(written), is_complete and not (constraint and constraint.is_closing)

    def text(self, written: list[int]) -> str:
        pieces = (self.vocabulary.piece(token) for token in written if not self.vocabulary.is_end(token))
        return b"".join(pieces).decode(errors="replace")


class TorchModel:
    """The checkpoint in torch, the reference for the exported file."""

    def __init__(self, checkpoint: Path) -> None:
        state = torch.load(checkpoint, map_location="cpu")
        self.model = Llama(Shape(**state["shape"]))
        self.model.load_state_dict(state["model"])

    @torch.no_grad()
    def gaps(self, tokens: list[int], written: list[int]) -> list[float]:
        """For each token of `written`, which follows `tokens`: how much larger torch's largest logit is, in nats."""
        features = self.model.features(torch.tensor([tokens + written[:-1]]))
        logits = self.model.logits(features[0, len(tokens) - 1 :])
        return (logits.max(dim=-1).values - logits[torch.arange(len(written)), written]).tolist()
