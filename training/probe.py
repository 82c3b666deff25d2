"""Measures accuracy on held-out items during training: whether every token of the last answer is the first choice."""

import torch
from tokenizers import Tokenizer
from torch import Tensor

from training.invented import Draws
from training.model import Llama
from training.rows import ANSWER, Batch, encode_conversation, pad_rows
from training.subjects import arithmetic, copying, memory, structured, tools

SUBJECTS = {
    "repeat": copying.repeated_words,
    "look up": copying.value_lookup,
    "memory": memory.fact_questions,
    "JSON": structured.json_extraction,
    "tools": tools.call_requests,
    "sums": arithmetic.arithmetic_turn,
}
ROWS = 24


def questions(tokenizer: Tokenizer, seed: int) -> dict[str, Batch]:
    """A batch of held-out conversations for each subject. Each conversation ends with an answer."""
    batches = {}
    for name, subject in SUBJECTS.items():
        random = Draws(seed, kept_out=True)
        rows = []
        for _ in range(ROWS):
            tokens, marks = encode_conversation(tokenizer, subject(random))
            rows.append((torch.tensor(tokens), torch.tensor(marks, dtype=torch.uint8)))
        batches[name] = pad_rows(rows)
    return batches


def last_answer(marks: Tensor) -> Tensor:
    """A mask, [length], of the positions in a row's last answer."""
    chosen = marks == ANSWER
    end = int(chosen.nonzero()[-1])
    gaps = (~chosen[:end]).nonzero()
    chosen[: int(gaps[-1])] = False
    return chosen


@torch.no_grad()
def correct_shares(model: Llama, batches: dict[str, Batch]) -> dict[str, float]:
    """For each subject, the share of rows whose last answer is what greedy decoding would generate."""
    found = {}
    for name, (tokens, marks) in batches.items():
        device = model.embedding.weight.device
        choices = model.logits(model.features(tokens[:, :-1].to(device))).argmax(dim=-1).cpu()
        right = [
            bool((choice == row[1:])[last_answer(kinds)[1:]].all())
            for choice, row, kinds in zip(choices, tokens, marks, strict=True)
        ]
        found[name] = sum(right) / len(right)
    return found
