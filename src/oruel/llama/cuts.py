"""Cuts long texts for the byte-pair tokenizers of llama.cpp that crash on long words.

These tokenizers split text into words with std::regex, which recurses once per character of a word and uses about 360
bytes of stack each time. Some 23,500 consecutive letters, spaces or newlines overflow a stack of 8 MiB, which kills the
process.
"""

import re

MAX_CHARACTERS = 4000

# Values of `tokenizer.ggml.pre` whose tokenizers loop instead of recursing, so their texts need no cuts. See
# unicode_regex_split_custom in llama.cpp's src/unicode.cpp.
UNCUT_PRETOKENIZERS = frozenset(
    {"deepseek-r1-qwen", "falcon3", "gemma4", "glm4", "gpt-2", "kimi-k2", "lfm2", "llama-bpe", "llama-v3", "llama3"}
    | {"olmo", "pixtral", "qwen2", "qwen35"}
)

# Patterns that match up to the last end of a word, in order of preference: before a space, where nearly every tokenizer
# ends a word, then before punctuation.
LAST_WORD_ENDS = (
    re.compile(r".*\w(?= \w)", re.DOTALL),
    re.compile(r".*[^\W_](?=[\s!-&(-/:-@\[-^`{-~。，、！？；：])", re.DOTALL),
)


def cut_text(text: str, limit: int = MAX_CHARACTERS) -> list[str]:
    """Splits `text` into parts of at most `limit` characters.

    A cut between words doesn't change the tokens. Only words of `limit` characters or more are cut inside; this may
    change their tokens, but not the text that the tokens spell.
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
