"""Models with random weights, built once into a folder. They compute at the speed of real models.

Nearly all their tokens are whole ASCII words, so that every token is text.
"""

import itertools
import string
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType

from tests.gguf_models import Shape, Tokenizer, byte_level, write_model, write_shape, write_tokenizer

FOLDER = Path(__file__).parents[1] / "build" / "bench"

TINY = Shape("llama", width=128, layers=4, heads=4, key_value_heads=2, head_width=32, hidden=384, context=8192)
HALF_BILLION = Shape(
    "qwen2",
    width=896,
    layers=24,
    heads=14,
    key_value_heads=2,
    head_width=64,
    hidden=4864,
    context=8192,
    tied=True,
    biased=True,
)
BLOCK, BLOCK_BYTES = 32, 34
SPREAD = 2.5  # standard deviation of the logits


def tiny_model() -> Path:
    """4 MB, F16, a vocabulary of 4096."""
    path = FOLDER / "tiny.gguf"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        write_model(path, TINY, word_tokenizer(4096), half=True, seed=1)
    return path


def wide_model() -> Path:
    """A vocabulary of 151,936 and very little computation."""
    path = FOLDER / "wide.gguf"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        shape = Shape("llama", width=32, layers=1, heads=1, key_value_heads=1, head_width=32, hidden=32, tied=True)
        write_model(path, shape, word_tokenizer(151936), half=True, seed=3)
    return path


def half_billion_model() -> Path:
    """The shape of Qwen2-0.5B: Q8_0, a vocabulary of 151,936."""
    path = FOLDER / "half-billion.gguf"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        write_quantised(path, HALF_BILLION, word_tokenizer(151936), np.random.default_rng(2))
    return path


def word_tokenizer(size: int) -> Tokenizer:
    """A byte-level vocabulary, filled with words of a space and four letters."""
    tokenizer = byte_level()
    known = set(tokenizer.texts)
    combinations = ("Ġ" + "".join(letters) for letters in itertools.product(string.ascii_lowercase, repeat=4))
    fresh = list(itertools.islice((word for word in combinations if word not in known), size - len(known)))
    tokenizer.texts += fresh
    tokenizer.types += [TokenType.NORMAL] * len(fresh)
    tokenizer.scores += [0.0] * len(fresh)
    return tokenizer


def write_quantised(path: Path, shape: Shape, tokenizer: Tokenizer, random: np.random.Generator) -> None:
    """Writes random Q8_0 blocks directly, since quantising half a billion floats takes minutes."""
    writer = GGUFWriter(path, shape.architecture)
    write_shape(writer, shape, path.stem)
    writer.add_file_type(LlamaFileType.MOSTLY_Q8_0)
    write_tokenizer(writer, tokenizer)
    for name, rows, columns, spread in matrices(shape, len(tokenizer.texts)):
        if rows == 1:
            writer.add_tensor(name, np.full(columns, spread, np.float32))
        else:
            writer.add_tensor(name, quants(rows, columns, spread, random), raw_dtype=GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def matrices(shape: Shape, vocabulary: int) -> list[tuple[str, int, int, float]]:
    """(name, rows, columns, standard deviation). A matrix of one row is a constant vector of that value."""
    width, queries, keys = shape.width, shape.heads * shape.head_width, shape.key_value_heads * shape.head_width
    unit, inner = width**-0.5, shape.hidden**-0.5
    named = [("token_embd.weight", vocabulary, width, SPREAD * unit), ("output_norm.weight", 1, width, 1.0)]
    for layer in range(shape.layers):
        block = [
            *(("attn_norm.weight", 1, width, 1.0), ("ffn_norm.weight", 1, width, 1.0)),
            *((f"attn_{part}.bias", 1, rows, 0.0) for part, rows in (("q", queries), ("k", keys), ("v", keys))),
            *((f"attn_{part}.weight", rows, width, unit) for part, rows in (("q", queries), ("k", keys), ("v", keys))),
            ("attn_output.weight", width, queries, queries**-0.5),
            *((f"ffn_{part}.weight", shape.hidden, width, unit) for part in ("gate", "up")),
            ("ffn_down.weight", width, shape.hidden, inner),
        ]
        named += [(f"blk.{layer}.{name}", rows, columns, spread) for name, rows, columns, spread in block]
    return named


def quants(
    rows: int, columns: int, spread: float, random: np.random.Generator
) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """A byte matrix of Q8_0 blocks, each a half-precision scale and 32 signed bytes."""
    blocks = np.empty((rows, columns // BLOCK, BLOCK_BYTES), np.uint8)
    blocks[:, :, 2:] = random.integers(0, 256, (rows, columns // BLOCK, BLOCK), np.uint8)
    # Uniform from −128 to 127: the standard deviation is 73.9.
    blocks[:, :, :2] = np.frombuffer(np.float16(spread / 73.9).tobytes(), np.uint8)
    return blocks.reshape(rows, -1)
