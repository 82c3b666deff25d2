"""Texts for tokenizers."""

from hypothesis import strategies as st

WORDS = [
    "the fox",
    " says hello",
    "What is",
    "\n",
    "\n\n",
    "  ",
    "é",
    "e\u0301",
    "日本",
    "😀",
    "a_b",
    "1234",
    "<",
    "|>",
]
PLAIN = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁<[")),
    st.lists(st.sampled_from(WORDS), max_size=8).map("".join),
)
