"""Trains a byte-level BPE tokenizer on the corpus, with the pre-tokenizer that llama.cpp calls `qwen2`."""

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path

from gguf import GGUFReader
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from training.chatml import SPECIAL_TOKENS, render, split_answers

QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
VOCABULARY_SIZE = 3072
SPECIAL = re.compile("|".join(map(re.escape, SPECIAL_TOKENS)))


def new_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def build_tokenizer(reader: GGUFReader) -> Tokenizer:
    """The tokenizer of an exported file."""
    tokens: list[str] = reader.fields["tokenizer.ggml.tokens"].contents()
    merges: list[str] = reader.fields["tokenizer.ggml.merges"].contents()
    tokenizer = new_tokenizer()
    tokenizer.model = models.BPE(
        vocab={token: index for index, token in enumerate(tokens)},
        merges=[(first, second) for first, _, second in (merge.partition(" ") for merge in merges)],
    )
    return tokenizer


def train_tokenizer(texts: Iterator[str]) -> Tokenizer:
    tokenizer = new_tokenizer()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def contents(corpus: Path, limit: int) -> Iterator[str]:
    """The rendered text of the first `limit` conversations, without special tokens."""
    with corpus.open(encoding="utf-8") as lines:
        for _, line in zip(range(limit), lines, strict=False):
            for text, _ in split_answers(render(json.loads(line))):
                yield from filter(None, SPECIAL.split(text))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder with corpus.jsonl")
    parser.add_argument("--model", type=Path, help="GGUF file whose tokenizer to write instead")
    arguments = parser.parse_args()
    work, model = arguments.work, arguments.model
    if model:
        tokenizer = build_tokenizer(GGUFReader(model))
    else:
        tokenizer = train_tokenizer(contents(work / "corpus.jsonl", limit=30_000))
    tokenizer.save(str(work / "tokenizer.json"))
    print(f"{tokenizer.get_vocab_size()} tokens")


if __name__ == "__main__":
    main()
