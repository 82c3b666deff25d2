"""Training rows: encoded conversations in batches of similar length, and rows of random tokens.

Each row has one conversation and padding. A conversation always starts at position 0, as it does at inference.
"""

import json
import re
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random

import numpy
import torch
from tokenizers import Tokenizer
from torch import Tensor

from training.chatml import CONTEXT_LENGTH, END, END_OF_TEXT, SPECIAL_TOKENS, START, render, split_answers
from training.given import ANSWERING, given_spans, is_given
from training.phrases import Conversation
from training.team import Team

PADDING, OTHER, ANSWER, GIVEN = 0, 1, 2, 3  # GIVEN: part of an answer that a constraint writes
LONGEST = 640  # tokens of a short row; longer conversations are truncated
HELD_OUT = 96
SPECIAL = re.compile("(" + "|".join(map(re.escape, SPECIAL_TOKENS)) + ")")

Batch = tuple[Tensor, Tensor]  # token ids and marks, [rows, length] of int64 and uint8


def encode_conversation(tokenizer: Tokenizer, conversation: Conversation) -> tuple[list[int], list[int]]:
    """The token ids of a conversation, with an end-of-text token at the end, and a mark for each token."""
    tokens: list[int] = []
    marks: list[int] = []
    roles = (role for role, _ in conversation if role in ANSWERING)
    for text, answer in split_answers(render(conversation)):
        given = given_spans(next(roles), text) if answer else []
        for part in filter(None, SPECIAL.split(text)):
            is_special = part in SPECIAL_TOKENS
            encoded = tokenizer.encode("" if is_special else part)
            tokens += [tokenizer.token_to_id(part)] if is_special else encoded.ids
            kind = ANSWER if answer else OTHER
            marks += [kind] if is_special else [GIVEN if is_given(given, *span) else kind for span in encoded.offsets]
    return [*tokens, tokenizer.token_to_id(END_OF_TEXT)], [*marks, OTHER]


def load_encoded(work: Path, name: str, tokenizer: Tokenizer) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The conversations of `name`.jsonl, concatenated: token ids (uint16) and marks (uint8).

    They are encoded once and cached in `name`.npz.
    """
    kept = work / f"{name}.npz"
    if not kept.exists():
        tokens, marks = array("H"), bytearray()
        with (work / f"{name}.jsonl").open(encoding="utf-8") as lines:
            for line in lines:
                ids, kinds = encode_conversation(tokenizer, json.loads(line))
                tokens.extend(ids)
                marks.extend(kinds)
        numpy.savez(kept, tokens=numpy.frombuffer(tokens, numpy.uint16), marks=numpy.frombuffer(marks, numpy.uint8))
    loaded = numpy.load(kept)
    return loaded["tokens"], loaded["marks"]


def pad_rows(rows: Iterable[tuple[Tensor, Tensor]]) -> Batch:
    listed = list(rows)
    longest = max(len(tokens) for tokens, _ in listed)
    tokens = torch.zeros(len(listed), longest, dtype=torch.int64)
    marks = torch.full((len(listed), longest), PADDING, dtype=torch.uint8)
    for row, (ids, kinds) in enumerate(listed):
        tokens[row, : len(ids)], marks[row, : len(ids)] = ids, kinds
    return tokens, marks


class Conversations:
    """The conversations of one file, in batches of similar length. The first `HELD_OUT` ones are never trained on.

    A batch has up to `size` tokens, including padding. `size` conversations at a time are sorted by length.
    """

    def __init__(
        self, work: Path, name: str, tokenizer: Tokenizer, seed: int, team: Team, size: int, longest: int = LONGEST
    ) -> None:
        self.team, self.size = team, size
        tokens, marks = load_encoded(work, name, tokenizer)
        ends = numpy.flatnonzero(tokens == tokenizer.token_to_id(END_OF_TEXT)) + 1
        starts = numpy.concatenate([[0], ends[:-1]])
        self.tokens, self.marks = torch.from_numpy(tokens.astype(numpy.int16)), torch.from_numpy(marks)
        self.starts, self.lengths = torch.from_numpy(starts), torch.from_numpy((ends - starts).clip(max=longest))
        self.random = Random(seed)
        self.position = HELD_OUT
        self.waiting: list[list[int]] = []

    def rows(self, indices: Sequence[int]) -> Batch:
        chosen = torch.tensor(indices)
        lengths = self.lengths[chosen][:, None]
        within = torch.arange(int(lengths.max()))
        inside = within < lengths
        places = (self.starts[chosen][:, None] + within).clamp(max=len(self.tokens) - 1)
        return self.tokens[places].long() * inside, self.marks[places].masked_fill(~inside, PADDING)

    def refill(self) -> None:
        """Reads the next conversations and groups them by length."""
        if self.position + self.size > len(self.starts):
            self.position = HELD_OUT
        end = min(self.position + self.size, len(self.starts))
        pool = (self.position + self.lengths[self.position : end].argsort(stable=True)).tolist()
        self.position = end
        while pool:
            count = max(1, self.size // int(self.lengths[pool[-1]]))
            self.waiting.append(pool[-count:])
            del pool[-count:]
        self.random.shuffle(self.waiting)
        shared = len(self.waiting) // self.team.size * self.team.size
        self.waiting = self.waiting[self.team.rank : shared : self.team.size]

    def batch(self) -> Batch:
        if not self.waiting:
            self.refill()
        return self.rows(self.waiting.pop())

    def held_out(self) -> Batch:
        return self.rows(range(HELD_OUT))


def long_rows(work: Path, tokenizer: Tokenizer, seed: int, team: Team, size: int) -> Conversations:
    return Conversations(work, "long", tokenizer, seed, team, size, longest=CONTEXT_LENGTH)


class Recall:
    """Rows of random tokens that only copying can predict: repeated sequences, and values looked up by key."""

    def __init__(self, tokenizer: Tokenizer, seed: int, size: int) -> None:
        self.random, self.size = Random(seed), size
        self.words = list(range(len(SPECIAL_TOKENS), tokenizer.get_vocab_size()))
        self.start, self.end = tokenizer.token_to_id(START), tokenizer.token_to_id(END)

    def repeated_row(self, length: int) -> tuple[list[int], list[int]]:
        """A sequence between random tokens, then the same sequence again."""
        sequence = self.random.choices(self.words, k=self.random.randint(3, max(4, length // 3)))
        before = self.random.choices(self.words, k=self.random.randint(0, length // 4))
        between = self.random.choices(self.words, k=self.random.randint(0, length // 4))
        head = [self.start, *before, self.end, *sequence, self.end, *between, self.start]
        return [*head, *sequence, self.end], [OTHER] * len(head) + [ANSWER] * (len(sequence) + 1)

    def lookup_row(self, length: int) -> tuple[list[int], list[int]]:
        """Keys with values of one to three tokens, then the same pairs in another order."""
        count = max(2, length // 9)
        keys = self.random.sample(self.words, count)
        values = {key: self.random.choices(self.words, k=self.random.randint(1, 3)) for key in keys}
        tokens = [self.start]
        for key in keys:
            tokens += [key, *values[key], self.end]
        marks = [OTHER] * len(tokens)
        for key in self.random.sample(keys, count):
            tokens += [key, *values[key], self.end]
            marks += [OTHER] + [ANSWER] * (len(values[key]) + 1)
        return tokens, marks

    def batch(self) -> Batch:
        length = self.random.choice((16, 32, 64, 128, 256, 512))
        rows = []
        for _ in range(self.size // length):
            make = self.repeated_row if self.random.random() < 0.5 else self.lookup_row
            tokens, marks = make(length)
            rows.append((torch.tensor(tokens), torch.tensor(marks, dtype=torch.uint8)))
        return pad_rows(rows)
