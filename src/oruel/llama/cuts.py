"""Cuts long texts for those byte-pair tokenizers of llama.cpp that a long word can crash.

They split text into words with std::regex, which recurses once per character of a word and needs about 360 bytes of
stack each time: some 23,500 letters, spaces or newlines in a row overflow 8 MiB and kill the process.
"""

import re

MAX_CHARACTERS = 4000

# The `tokenizer.ggml.pre` of tokenizers with their own loops, which need no cuts: unicode_regex_split_custom in
# llama.cpp's src/unicode.cpp.
UNBOUNDED = frozenset(
    {"deepseek-r1-qwen", "falcon3", "gemma4", "glm4", "gpt-2", "kimi-k2", "lfm2", "llama-bpe", "llama-v3", "llama3"}
    | {"olmo", "pixtral", "qwen2", "qwen35"}
)

# The last position in a text where a word ends: preferably before a space, which ends a word in every tokenizer but
# those with words of several words; otherwise before punctuation.
LAST_WORD_ENDS = (
    re.compile(r".*\w(?= \w)", re.DOTALL),
    re.compile(r".*[^\W_](?=[\s!-&(-/:-@\[-^`{-~。，、！？；：])", re.DOTALL),
)


def cut_text(text: str, limit: int = MAX_CHARACTERS) -> list[str]:
    """The parts of `text` in order, each of at most `limit` characters.

    A cut between words doesn't change the tokens. A cut inside a word of `limit` characters may, but the text stays the
    same.
    """
    parts = []
    start = 0
    while len(text) - start > limit:
        end = _last_word_end(text, start, start + limit)
        parts.append(text[start:end])
        start = end
    parts.append(text[start:])
    return parts


def _last_word_end(text: str, start: int, end: int) -> int:
    for pattern in LAST_WORD_ENDS:
        if match := pattern.match(text, start, end):
            return match.end()
    return end
