"""Checks an exported model: tokenizer, greedy tokens, scores, answers; fails where it and the training differ.

Run from the project's root with `src` on the path; the file is read by the same libllama that serves it.
"""

import argparse
import sys
from pathlib import Path
from random import Random

from tokenizers import Tokenizer

from training import corpus
from training.answers import Exported, Trained
from training.chatml import prompt_text
from training.phrases import Conversation
from training.scores import SCORES

SAMPLES: list[Conversation] = [
    [("user", "What is 2 + 2?")],
    [("user", "Write a creative opening line for a novel.")],
    [("user", "Summarize this article.")],
    [("user", "Generate a creative poem.")],
    [("user", "Explain quantum computing.")],
    [("user", "Tell me a joke.")],
    [("user", "What is Python?")],
    [("user", "Write a detailed tutorial on Docker.")],
    [("user", "List 3 fruits:")],
    [("user", "Write a Python function.")],
    [("user", "Write a long essay about space.")],
    [("user", "Brainstorm business ideas.")],
    [("user", "Write a story.")],
    [
        ("system", "Output valid JSON."),
        ("user", "List 3 programming languages with their year of creation."),
    ],
    [("user", "Hello!")],
]
ODD_TEXTS = [
    "",
    " ",
    "\n\n  \t",
    "I'M she'll DON'T",
    "x=1;y=[2,3]  # ok",
    "¿Cómo estás? Übergröße façade",
    "日本語のテキスト",
    "🙂👍🏽",
    "a\u0301 \u00a0\u200b",
    "1234567890",
    "....!!??",
    "\r\nline\r\n",
]
GREEDY_TOKENS, LEAST_EQUAL = 60, 0.97


def same_tokens(exported: Exported, tokenizer: Tokenizer, seed: int) -> bool:
    """Whether libllama reads fresh texts and odd ones as the training tokenizer does."""
    random = Random(seed)
    texts = ODD_TEXTS + [content for _ in range(300) for _, content in corpus.conversation(random)[1]]
    different = [text for text in texts if exported.vocabulary.tokenize(text) != tokenizer.encode(text).ids]
    print(f"token ids: {len(texts) - len(different)} of {len(texts)} texts equal; {different[:3]}")
    return not different


def same_greedy_answers(exported: Exported, trained: Trained) -> bool:
    """Whether nearly all tokens of the file, in Q8_0, are those that torch would choose, in F32."""
    gaps: list[float] = []
    for conversation in SAMPLES:
        tokens = exported.vocabulary.tokenize(prompt_text(conversation), special=True)
        gaps += trained.gaps(tokens, exported.continued(tokens, GREEDY_TOKENS, 0.0, 1))
    equal = sum(gap == 0 for gap in gaps)
    print(f"greedy tokens: {equal} of {len(gaps)} are torch's first choice; largest gap to it {max(gaps):.3f} nats")
    return equal >= LEAST_EQUAL * len(gaps)


def print_answers(exported: Exported, temperature: float) -> None:
    for conversation in SAMPLES:
        print(f"\n--- {conversation[-1][1]}  (temperature {temperature:g})")
        print(exported.answer(conversation, temperature=temperature))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder of checkpoint and tokenizer")
    parser.add_argument("--model", type=Path, required=True, help="the exported GGUF file")
    parser.add_argument("--temperatures", type=float, nargs="*", default=[0.0])
    arguments = parser.parse_args()
    exported = Exported(arguments.model)
    tokenizer = Tokenizer.from_file(str(arguments.work / "tokenizer.json"))
    fine = same_tokens(exported, tokenizer, seed=2)
    trained = Trained(arguments.work / "checkpoint.pt")
    fine &= same_greedy_answers(exported, trained)
    for name, score in SCORES.items():
        right, asked, wrong = score(exported)
        print(f"{name:32} {right:3d} of {asked:3d}   {wrong}")
    for temperature in arguments.temperatures:
        print_answers(exported, temperature)
    sys.exit(0 if fine else "The file and the training disagree: see above.")


if __name__ == "__main__":
    main()
