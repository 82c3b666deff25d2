"""Refuses GGUF files that would make llama.cpp abort, which ends the whole process, or that can't be served.

Files that llama.cpp refuses itself with a clear reason are left to it. Based on b11549, src/llama-vocab.cpp.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from oruel.errors import ModelLoadError
from oruel.llama.gguf import Contents, read_gguf

MAX_LAYERS = 512  # LLAMA_MAX_LAYERS
MAX_INT32 = 2**31 - 1
NO_TOKEN = 2**32 - 1

# Tokenizers of encoders: their code aborts on texts or vocabularies that can't all be foreseen.
ENCODER_TOKENIZERS = ("bert", "t5")
NO_TOKENIZER = ("no_vocab", "none")
RWKV_ESCAPES = {ord("\t"): b"\\t", ord("\n"): b"\\n", ord("\r"): b"\\r", ord("\\"): b"\\\\", ord("'"): b"\\'"}
# With a wrong id here, the model never ends its answer, or ends it at an ordinary word.
BEGINNINGS_AND_ENDS = ("bos", "eos", "eot", "eom")


def check_gguf(path: Path) -> None:
    """Raises ModelLoadError for the first fault."""
    contents = read_gguf(path)
    for fault in faults(contents):
        raise ModelLoadError(f"{path} can't be used: {fault}. Fetch the file again, or choose another.")


def faults(contents: Contents) -> Iterator[str]:
    yield from size_faults(contents)
    tokenizer = contents.text("tokenizer.ggml.model")
    tokens = contents.strings("tokenizer.ggml.tokens")
    if tokenizer in ENCODER_TOKENIZERS:
        yield f"its tokenizer is of the kind {tokenizer}, which belongs to encoders, and these don't generate text"
    elif tokens is not None and tokenizer not in NO_TOKENIZER:
        yield from token_faults(tokens)
        yield from length_faults(contents, len(tokens))
        yield from special_token_faults(contents, len(tokens))
        if tokenizer in BYTE_SPELLINGS:
            yield from byte_faults(tokens, BYTE_SPELLINGS[tokenizer])


def size_faults(contents: Contents) -> Iterator[str]:
    architecture = contents.text("general.architecture")
    for name, most in (("context_length", MAX_INT32), ("embedding_length", MAX_INT32), ("block_count", MAX_LAYERS)):
        key = f"{architecture}.{name}"
        value = contents.values.get(key, 1)
        if not isinstance(value, int) or not 0 < value <= most:
            shown = value if isinstance(value, int | float) else "no number"
            yield f"{key} is {shown}; it must be an integer from 1 to {most}"


def token_faults(tokens: list[bytes]) -> Iterator[str]:
    joined = b"\n".join(tokens)
    if b"\0" in joined:
        token = next(token for token, text in enumerate(tokens) if b"\0" in text)
        yield f"token {token} of its vocabulary contains a NUL, at which llama.cpp would cut it"
    # A newline ends any unfinished character, so that one test covers each token by itself.
    if not is_utf8(joined):
        token = next(token for token, text in enumerate(tokens) if not is_utf8(text))
        yield f"token {token} of its vocabulary, {tokens[token][:40]!r}, is not UTF-8"
    # llama.cpp's name for empty ones.
    named = [text or b"[EMPTY_%d]" % token for token, text in enumerate(tokens)] if b"" in tokens else tokens
    if len(set(named)) < len(named):
        first, second = first_repetition(named)
        yield f"tokens {first} and {second} of its vocabulary are the same, {named[first][:40]!r}"


def is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def first_repetition(texts: list[bytes]) -> tuple[int, int]:
    seen: dict[bytes, int] = {}
    for place, text in enumerate(texts):
        if text in seen:
            return seen[text], place
        seen[text] = place
    raise AssertionError("nothing is repeated")


def length_faults(contents: Contents, size: int) -> Iterator[str]:
    for key in ("tokenizer.ggml.scores", "tokenizer.ggml.token_type"):
        array = contents.numbers(key)
        if array is not None and array.count < size:
            yield f"{key} has {array.count} entries, but the vocabulary has {size} tokens"


def special_token_faults(contents: Contents, size: int) -> Iterator[str]:
    for name in BEGINNINGS_AND_ENDS:
        key = f"tokenizer.ggml.{name}_token_id"
        token = contents.integer(key)
        if token is not None and token != NO_TOKEN and not 0 <= token < size:
            yield f"{key} is {token}, but the vocabulary has {size} tokens"


def sentence_piece_byte(byte: int) -> tuple[bytes, ...]:
    return b"<0x%02X>" % byte, bytes([byte])


def rwkv_byte(byte: int) -> tuple[bytes, ...]:
    plain = bytes([byte]) if byte != ord("\\") else b"\\\\"
    return b"\\x%02x" % byte, plain, RWKV_ESCAPES.get(byte, plain)


# By tokenizer: the spellings of a token that is one byte.
BYTE_SPELLINGS = {"llama": sentence_piece_byte, "rwkv": rwkv_byte}


def byte_faults(tokens: list[bytes], spellings: Callable[[int], tuple[bytes, ...]]) -> Iterator[str]:
    """These tokenizers spell unknown text in bytes. Without a token for each byte, they abort or never return."""
    known = set(tokens)
    missing = [spellings(byte)[0].decode() for byte in range(256) if known.isdisjoint(spellings(byte))]
    if missing:
        yield (
            f"its vocabulary lacks {len(missing)} of the 256 byte tokens, such as {missing[0]}, without which "
            "llama.cpp fails on unknown characters"
        )
