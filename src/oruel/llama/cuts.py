"""Which byte-pair tokenizers of llama.cpp crash on long words, so that their texts must be cut.

These tokenizers split text into words with std::regex, which recurses once per character of a word and uses about 360
bytes of stack each time. Some 23,500 consecutive letters, spaces or newlines overflow a stack of 8 MiB, which kills the
process.
"""

MAX_CHARACTERS = 4000

# Values of `tokenizer.ggml.pre` whose tokenizers loop instead of recursing, so their texts need no cuts. See
# unicode_regex_split_custom in llama.cpp's src/unicode.cpp.
UNCUT_PRETOKENIZERS = frozenset(
    {"deepseek-r1-qwen", "falcon3", "gemma4", "glm4", "gpt-2", "kimi-k2", "lfm2", "llama-bpe", "llama-v3", "llama3"}
    | {"olmo", "pixtral", "qwen2", "qwen35"}
)
