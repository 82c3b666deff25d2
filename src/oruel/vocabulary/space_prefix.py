"""The space that some tokenizers add before every text."""

from collections.abc import Callable


def finds_space_prefix(tokenize: Callable[[str], list[int]], piece: Callable[[int], bytes]) -> bool:
    """Found by calling the tokenizer, because the rules have exceptions."""
    return b"".join(map(piece, tokenize("a"))) == b" a"


def tokenize_continuation(tokenize: Callable[[str], list[int]], text: str, *, adds_space_prefix: bool) -> list[int]:
    """The tokens of a text that continues another: without the space prefix."""
    if not adds_space_prefix:
        return tokenize(text)
    # No word continues past a newline, so the tokens after it are those of the text alone.
    before, both = tokenize("\n"), tokenize("\n" + text)
    return both[len(before) :] if both[: len(before)] == before else tokenize(text)
