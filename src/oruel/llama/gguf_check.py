"""Refuses GGUF files that can't be served or that would make llama.cpp abort, which ends the process.

Faults that llama.cpp reports with a clear reason are not checked here. Based on b11549, src/llama-vocab.cpp.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from oruel.errors import ModelLoadError
from oruel.llama.gguf import Contents, read_gguf

MAX_LAYERS = 512  # LLAMA_MAX_LAYERS
MAX_INT32 = 2**31 - 1
NO_TOKEN = 2**32 - 1

# Tokenizers of encoder models. Their code aborts on some texts and vocabularies, which no check can list.
ENCODER_TOKENIZERS = ("bert", "t5")
NO_TOKENIZER = ("no_vocab", "none")
RWKV_ESCAPES = {ord("\t"): b"\\t", ord("\n"): b"\\n", ord("\r"): b"\\r", ord("\\"): b"\\\\", ord("'"): b"\\'"}
# With a wrong id for one of these, an answer never ends, or ends at an ordinary word.
SPECIAL_TOKENS = ("bos", "eos", "eot", "eom")


def check_gguf(path: Path) -> None:
    """Raises ModelLoadError with the first fault found."""
    contents = read_gguf(path)
    for fault in find_faults(contents):
        raise ModelLoadError(f"{path} can't be used: {fault}. Download the file again, or choose another.")


def find_faults(contents: Contents) -> Iterator[str]:
    yield from size_faults(contents)
    tokenizer = contents.text("tokenizer.ggml.model")
    tokens = contents.strings("tokenizer.ggml.tokens")
    if tokenizer in ENCODER_TOKENIZERS:
        yield f"its tokenizer type, {tokenizer}, belongs to encoder models, which don't generate text"
    elif tokens is not None and tokenizer not in NO_TOKENIZER:
        yield from token_faults(tokens)
        yield from length_faults(contents, len(tokens))
        yield from special_token_faults(contents, len(tokens))
        if tokenizer in BYTE_SPELLINGS:
            yield from byte_faults(tokens, BYTE_SPELLINGS[tokenizer])


def size_faults(contents: Contents) -> Iterator[str]:
    architecture = contents.text("general.architecture")
    for name, maximum in (("context_length", MAX_INT32), ("embedding_length", MAX_INT32), ("block_count", MAX_LAYERS)):
        key = f"{architecture}.{name}"
        value = contents.values.get(key, 1)
        if not isinstance(value, int) or not 0 < value <= maximum:
            shown = value if isinstance(value, int | float) else "not a number"
            yield f"{key} is {shown}; it must be an integer from 1 to {maximum}"


def token_faults(tokens: list[bytes]) -> Iterator[str]:
    joined = b"\n".join(tokens)
    if b"\0" in joined:
        token = next(token for token, text in enumerate(tokens) if b"\0" in text)
        yield f"token {token} of its vocabulary contains a NUL, which llama.cpp reads as the end of the token"
    # A newline can't continue a character, so decoding the joined text checks each token separately.
    if not is_utf8(joined):
        token = next(token for token, text in enumerate(tokens) if not is_utf8(text))
        yield f"token {token} of its vocabulary, {tokens[token][:40]!r}, is not UTF-8"
    # llama.cpp renames empty tokens like this.
    named = [text or b"[EMPTY_%d]" % token for token, text in enumerate(tokens)] if b"" in tokens else tokens
    if len(set(named)) < len(named):
        first, second = first_duplicates(named)
        yield f"tokens {first} and {second} of its vocabulary are the same, {named[first][:40]!r}"


def is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def first_duplicates(texts: list[bytes]) -> tuple[int, int]:
    """The indices of the first two equal texts."""
    seen: dict[bytes, int] = {}
    for index, text in enumerate(texts):
        if text in seen:
            return seen[text], index
        seen[text] = index
    raise AssertionError("there are no duplicates")


def length_faults(contents: Contents, size: int) -> Iterator[str]:
    for key in ("tokenizer.ggml.scores", "tokenizer.ggml.token_type"):
        array = contents.numbers(key)
        if array is not None and array.count < size:
            yield f"{key} has {array.count} entries, but the vocabulary has {size} tokens"


def special_token_faults(contents: Contents, size: int) -> Iterator[str]:
    for name in SPECIAL_TOKENS:
        key = f"tokenizer.ggml.{name}_token_id"
        token = contents.integer(key)
        if token is not None and token != NO_TOKEN and not 0 <= token < size:
            yield f"{key} is {token}, but the vocabulary has {size} tokens"


def sentencepiece_byte_spellings(byte: int) -> tuple[bytes, ...]:
    return b"<0x%02X>" % byte, bytes([byte])


def rwkv_byte_spellings(byte: int) -> tuple[bytes, ...]:
    plain = bytes([byte]) if byte != ord("\\") else b"\\\\"
    return b"\\x%02x" % byte, plain, RWKV_ESCAPES.get(byte, plain)


# For each tokenizer, a function that returns the possible spellings of a one-byte token.
BYTE_SPELLINGS = {"llama": sentencepiece_byte_spellings, "rwkv": rwkv_byte_spellings}


def byte_faults(tokens: list[bytes], spellings: Callable[[int], tuple[bytes, ...]]) -> Iterator[str]:
    """These tokenizers encode unknown text as bytes. If a byte has no token, they abort or never return."""
    known = set(tokens)
    missing = [spellings(byte)[0].decode() for byte in range(256) if known.isdisjoint(spellings(byte))]
    if missing:
        yield (
            f"its vocabulary lacks {len(missing)} of the 256 byte tokens, such as {missing[0]}, which llama.cpp needs "
            "for unknown characters"
        )
