"""Trains the network on the corpus for some minutes; stops at any time and goes on from its checkpoint.

The learning rate follows the share of the minutes used: warm-up, constant, then linear to nothing. The last
part of the time mixes in rows as long as the context, so that answers hold at any position.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from random import Random

import numpy
import torch
from tokenizers import Tokenizer
from torch.nn import functional

from training.chatml import CONTEXT_LENGTH, END, END_OF_TEXT, START
from training.model import Llama, Shape
from training.optimiser import Optimiser

BATCH_TOKENS, BATCHES_A_STEP = 1536, 2
POOL = 2048  # conversations that are sorted by length together
LONGEST = 640  # tokens of a conversation; what is beyond is cut off
LONG_FROM, LONG_SHARE = 0.8, 0.25
LONG_LENGTHS = (1024, 2048, CONTEXT_LENGTH)
OTHERS_SHARE = 0.15  # share of the tokens outside answers that are learnt too
HELD_OUT = 96
PADDING, OTHER, ANSWER = 0, 1, 2


def encoded(tokenizer: Tokenizer, conversation: list[list[str]]) -> tuple[list[int], list[int]]:
    """Token ids of one conversation, its boundary last, and for each whether the assistant writes it."""
    start, end, boundary = (tokenizer.token_to_id(token) for token in (START, END, END_OF_TEXT))
    newline = tokenizer.encode("\n").ids
    tokens, marks = [], []
    for role, content in conversation:
        head = [start, *tokenizer.encode(f"{role}\n").ids]
        body = [*tokenizer.encode(content).ids, end]
        tokens += head + body + newline
        marks += [OTHER] * len(head) + [ANSWER if role == "assistant" else OTHER] * len(body) + [OTHER] * len(newline)
    return [*tokens, boundary], [*marks, OTHER]


def stream(corpus: Path, tokenizer: Tokenizer) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The whole corpus as one row of token ids (uint16) and one of marks (uint8)."""
    tokens: list[int] = []
    marks: list[int] = []
    with corpus.open() as lines:
        for line in lines:
            ids, kinds = encoded(tokenizer, json.loads(line))
            tokens += ids
            marks += kinds
    return numpy.array(tokens, dtype=numpy.uint16), numpy.array(marks, dtype=numpy.uint8)


def packed(work: Path) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The corpus as a stream, encoded once and kept in the work folder."""
    kept = work / "stream.npz"
    if not kept.exists():
        tokens, marks = stream(work / "corpus.jsonl", Tokenizer.from_file(str(work / "tokenizer.json")))
        numpy.savez(kept, tokens=tokens, marks=marks)
    loaded = numpy.load(kept)
    return loaded["tokens"], loaded["marks"]


class Conversations:
    """The stream cut into batches, [rows, length] of tokens and of marks.

    A row holds one conversation and padding, as in use, where nothing stands before a conversation. Batches of
    long rows hold many conversations without padding.
    """

    def __init__(self, tokens: numpy.ndarray, marks: numpy.ndarray, boundary: int, seed: int) -> None:
        self.tokens, self.marks = torch.from_numpy(tokens.astype(numpy.int64)), torch.from_numpy(marks)
        ends = numpy.flatnonzero(tokens == boundary) + 1
        self.starts = [0, *ends[:-1].tolist()]
        self.lengths = [min(end - start, LONGEST) for start, end in zip(self.starts, ends.tolist(), strict=True)]
        self.random = Random(seed)
        self.position = HELD_OUT
        self.waiting: list[list[int]] = []

    def batch(self, conversations: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        longest = max(self.lengths[index] for index in conversations)
        tokens = torch.zeros(len(conversations), longest, dtype=torch.int64)
        marks = torch.full_like(tokens, PADDING)
        for row, index in enumerate(conversations):
            start, length = self.starts[index], self.lengths[index]
            tokens[row, :length] = self.tokens[start : start + length]
            marks[row, :length] = self.marks[start : start + length]
        return tokens, marks

    def refill(self) -> None:
        """Takes the next conversations and groups those of like length."""
        if self.position + POOL > len(self.starts):
            self.position = HELD_OUT
        pool = sorted(range(self.position, self.position + POOL), key=self.lengths.__getitem__)
        self.position += POOL
        while pool:
            rows = max(1, BATCH_TOKENS // self.lengths[pool[-1]])
            self.waiting.append(pool[-rows:])
            del pool[-rows:]
        self.random.shuffle(self.waiting)

    def next_batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.waiting:
            self.refill()
        return self.batch(self.waiting.pop())

    def long_rows(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows of many conversations, as many tokens in all as the context holds."""
        length = self.random.choice(LONG_LENGTHS)
        firsts = [
            self.starts[self.random.randrange(HELD_OUT, len(self.starts) // 2)] for _ in range(CONTEXT_LENGTH // length)
        ]
        spans = [slice(first, first + length + 1) for first in firsts]
        return torch.stack([self.tokens[span] for span in spans]), torch.stack([self.marks[span] for span in spans])

    def held_out(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.batch(list(range(HELD_OUT)))


def loss_of(model: Llama, tokens: torch.Tensor, learnt: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy, in nats a token, of the tokens whose mark in `learnt` is set."""
    features = model.features(tokens[:, :-1])
    targets, chosen = tokens[:, 1:], learnt[:, 1:]
    return functional.cross_entropy(model.logits(features[chosen]), targets[chosen])


def rate_scale(progress: float) -> float:
    """Learning-rate scale at a share of the training time: up in 1%, constant to 55%, then linear to 0."""
    return min(1.0, progress / 0.01 + 0.05, (1.0 - progress) / 0.45 + 0.005)


class Training:
    """The state of one training: model, optimiser, place in the stream, seconds and tokens so far."""

    def __init__(self, work: Path, seed: int) -> None:
        torch.manual_seed(seed)
        tokenizer = Tokenizer.from_file(str(work / "tokenizer.json"))
        tokens, marks = packed(work)
        self.shape = Shape(vocabulary=tokenizer.get_vocab_size())
        self.model = Llama(self.shape)
        self.optimiser = Optimiser(self.model)
        self.text = Conversations(tokens, marks, tokenizer.token_to_id(END_OF_TEXT), seed)
        self.seconds, self.seen, self.steps = 0.0, 0, 0
        self.checkpoint = work / "checkpoint.pt"

    def save(self) -> None:
        state = {
            "shape": asdict(self.shape),
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state(),
            "place": (self.text.position, self.seconds, self.seen, self.steps),
        }
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, self.checkpoint)

    def resume(self) -> None:
        state = torch.load(self.checkpoint)
        self.model.load_state_dict(state["model"])
        self.optimiser.load(state["optimiser"])
        self.text.position, self.seconds, self.seen, self.steps = state["place"]

    def step(self, progress: float) -> float:
        """One update; returns the mean loss of its batches."""
        long = progress > LONG_FROM and self.text.random.random() < LONG_SHARE
        batches = [self.text.long_rows()] if long else [self.text.next_batch() for _ in range(BATCHES_A_STEP)]
        total = 0.0
        for tokens, marks in batches:
            learnt = (marks == ANSWER) | ((marks == OTHER) & (torch.rand(marks.shape) < OTHERS_SHARE))
            loss = loss_of(self.model, tokens, learnt) / len(batches)
            loss.backward()
            total += loss.item()
            self.seen += int((marks != PADDING).sum())
        self.optimiser.step(rate_scale(progress))
        self.steps += 1
        return total

    @torch.no_grad()
    def held_out_loss(self) -> float:
        """Mean loss of the answers in conversations that are never trained on."""
        tokens, marks = self.text.held_out()
        return loss_of(self.model, tokens, marks == ANSWER).item()

    def run(self, minutes: float) -> Iterator[float]:
        """Yields the loss of each step until the minutes, those of earlier sittings included, are used."""
        while self.seconds < minutes * 60:
            began = time.monotonic()
            yield self.step(self.seconds / (minutes * 60))
            self.seconds += time.monotonic() - began

    def report(self, loss: float) -> None:
        speed = self.seen / max(self.seconds, 1.0)
        print(
            f"{self.seconds / 60:6.1f} min  step {self.steps:5d}  {self.seen / 1e6:6.2f}M tokens  {speed:5.0f}/s"
            f"  loss {loss:.3f}  held out {self.held_out_loss():.3f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder of corpus, tokenizer and checkpoint")
    parser.add_argument("--minutes", type=float, required=True, help="training time in all, resumed time included")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    training = Training(arguments.work, arguments.seed)
    if training.checkpoint.exists():
        training.resume()
    average = 8.0
    for loss in training.run(arguments.minutes):
        average += 0.05 * (loss - average)
        if training.steps % 50 == 0:
            training.report(average)
        if training.steps % 200 == 0:
            training.save()
    training.report(average)
    training.save()


if __name__ == "__main__":
    main()
