"""Compares an exported file with the training: token ids of texts and prompts, and greedy tokens.

Run it from the project's root with `src` on the path. It uses the same libllama as the server.
"""

import argparse
import sys
from pathlib import Path

from tokenizers import Tokenizer

from training import corpus
from training.answers import GREEDY, ExportedModel, TorchModel
from training.invented import Draws
from training.rows import encode_conversation

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
GREEDY_TOKENS, MIN_EQUAL = 60, 0.97


def check_token_ids(exported: ExportedModel, tokenizer: Tokenizer, seed: int) -> bool:
    """Whether libllama tokenizes texts as the training tokenizer does, and renders conversations as in the corpus."""
    random = Draws(seed)
    conversations = [corpus.draw_conversation(random, corpus.MIX)[1] for _ in range(300)]
    texts = ODD_TEXTS + [content for conversation in conversations for _, content in conversation]
    different = [text for text in texts if exported.vocabulary.tokenize(text) != tokenizer.encode(text).ids]
    print(f"token ids: {len(texts) - len(different)} of {len(texts)} texts equal; {different[:3]}")
    other = []
    for conversation in conversations:
        prompt, row = exported.prompt(conversation), encode_conversation(tokenizer, conversation)[0]
        # The row ends with the end-of-text token, the prompt with the start of an answer.
        if prompt[: len(row) - 1] != row[:-1]:
            other.append(conversation)
    print(f"prompts: {len(conversations) - len(other)} of {len(conversations)} as in training; {other[:1]}")
    return not different and not other


def check_greedy_tokens(exported: ExportedModel, trained: TorchModel) -> bool:
    """Whether at least 97% of the file's greedy tokens are also torch's first choice in F32."""
    gaps: list[float] = []
    for question in corpus.PAGE:
        tokens = exported.prompt([("user", question)])
        gaps += trained.gaps(tokens, exported.generate(tokens, GREEDY_TOKENS, GREEDY))
    equal = sum(gap == 0 for gap in gaps)
    print(f"greedy tokens: {equal} of {len(gaps)} are torch's first choice; largest gap to it {max(gaps):.3f} nats")
    return equal >= MIN_EQUAL * len(gaps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder with the checkpoint and the tokenizer")
    parser.add_argument("--model", type=Path, required=True, help="the exported GGUF file")
    arguments = parser.parse_args()
    exported = ExportedModel(arguments.model)
    fine = check_token_ids(exported, Tokenizer.from_file(str(arguments.work / "tokenizer.json")), seed=2)
    fine &= check_greedy_tokens(exported, TorchModel(arguments.work / "checkpoint.pt"))
    sys.exit(0 if fine else "The exported file differs from the training; see above. Export the checkpoint again.")


if __name__ == "__main__":
    main()
