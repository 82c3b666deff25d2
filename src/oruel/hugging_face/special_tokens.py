"""Which tokens of a vocabulary are control tokens, and which of them end an answer.

The files say it only in part, so names count too: by the same names llama.cpp knows these tokens (b11549,
src/llama-vocab.cpp), and its converter marks control tokens (convert_hf_to_gguf.py, does_token_look_special). A model
then has the same control tokens and ends in both forms.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from oruel.hugging_face.tokenizer_file import LoadedTokenizer

END_NAMES = frozenset(
    {"<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>"}
    | {"<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>"}
    | {"<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>"}
    # Separators of files and repositories, and padding, after which models for code only write the next file.
    | {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"}
    | {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>", "<|file_sep|>"}
)
# Sets of ends of some models, each with an end of other models which does not end an answer of these.
NO_ENDS = (
    ({"<|return|>", "<|call|>"}, "<|end|>"),
    ({"<|return|>", "<|calls|>"}, "<|end|>"),
    ({"<|flush|>", "<|call|>"}, "<|end|>"),
    ({"<|flush|>", "<|calls|>"}, "<|end|>"),
    ({"<|tool_response>"}, "</s>"),
)
CONTROL_NAME = re.compile(
    r"<\|.*\|>|<｜.*｜>|<unused.*>|<pad>|<mask>|<2mass>|\[@BOS@\]"
    r"|<fim[-_](prefix|suffix|middle)>|<(PRE|SUF|MID)>",
    re.DOTALL,
)


def find_ends(vocabulary: Mapping[str, int], declared: Collection[int]) -> frozenset[int]:
    """The ids of the tokens that end an answer: those that the model's files declare, and those of known names."""
    ends = {name: token for name, token in vocabulary.items() if name in END_NAMES or token in declared}
    no_ends = {name for others, name in NO_ENDS if others <= ends.keys()}
    return frozenset(token for name, token in ends.items() if name not in no_ends)


def looks_like_control(name: str) -> bool:
    """Whether an added token of this name is a control token even if the files don't say so."""
    return CONTROL_NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class DeclaredTokens:
    """What the model's files say. `adds_bos`: None if they leave it to the tokenizer."""

    bos: int | None = None
    eos: int | None = None
    ends: frozenset[int] = frozenset()
    adds_bos: bool | None = None


class SpecialTokens:
    """`control` and `user_defined` map names to ids, `ends` are ids. All are less than `size`."""

    def __init__(self, tokenizer: LoadedTokenizer, size: int, declared: DeclaredTokens) -> None:
        ids = {name: token for name, token in tokenizer.ids.items() if token < size}
        added = {token.content: token for token in tokenizer.added.values() if token.content in ids}
        self.ends = find_ends(ids, declared.ends)
        markers = {*self.ends, declared.bos, declared.eos}
        control = {name for name, token in added.items() if token.special or looks_like_control(name)}
        control |= {name for name, token in ids.items() if token in markers}
        if tokenizer.unknown not in markers:
            # Text becomes this token, so it is none of those that text must never become.
            control -= {name for name in control if ids[name] == tokenizer.unknown}
        self.control = {name: ids[name] for name in sorted(control, key=ids.__getitem__)}
        self.user_defined = {
            name: ids[name] for name in added if name not in control and ids[name] != tokenizer.unknown
        }
