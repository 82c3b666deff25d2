"""The space that some tokenizers add before every text."""

from collections.abc import Callable

from oruel.vocabulary.base import PromptVocabulary


def finds_space_prefix(tokenize: Callable[[str], list[int]], piece: Callable[[int], bytes]) -> bool:
    """Found by calling the tokenizer, because the rules have exceptions."""
    return b"".join(map(piece, tokenize("a"))) == b" a"


def tokenize_continuation(vocabulary: PromptVocabulary, text: str) -> list[int]:
    """The tokens of a text that continues another: without the space prefix."""
    if not vocabulary.adds_space_prefix:
        return vocabulary.tokenize(text)
    # No word continues past a newline, so the tokens after it are those of the text alone.
    before, both = vocabulary.tokenize("\n"), vocabulary.tokenize("\n" + text)
    return both[len(before) :] if both[: len(before)] == before else vocabulary.tokenize(text)
