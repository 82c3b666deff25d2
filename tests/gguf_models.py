"""Writes small GGUF models with random weights, one function per shape. They compute like real models.

Every model tokenizes any UTF-8 text; the logits of one step have a standard deviation of about 2.5.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf import GGUFWriter, LlamaFileType, TokenType

LOGIT_SPREAD = 2.5
ROPE_BASE = 10000.0
EPSILON = 1e-5

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if message.role == 'user' %}[INST] {{ message.content }} [/INST]"
    "{% else %} {{ message.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
GEMMA = (
    "{{ bos_token }}{% for message in messages %}<start_of_turn>{{ message.role }}\n{{ message.content }}<end_of_turn>"
    "\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)

# The tool call tags of Hermes and Qwen.
TOOLS = """{% if tools %}<|im_start|>system
You may call these functions:
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<|im_end|>
{% endif %}{% for message in messages %}<|im_start|>{{ 'user' if message.role == 'tool' else message.role }}
{% if message.role == 'tool' %}<tool_response>
{{ message.content }}
</tool_response>{% else %}{{ message.content }}{% for call in message.tool_calls or [] %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
CALL_MARKER = "<tool_call>"
# Each argument between its own tags, strings verbatim.
TAGGED = TOOLS.replace(
    """{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
""",
    """<function={{ call.function.name }}>
{% for name, value in call.function.arguments.items() %}<parameter={{ name }}>
{{ value if value is string else value | tojson }}
</parameter>
{% endfor %}</function>
""",
)
REASONING = (
    TOOLS.removesuffix("{% endif %}")
    + "{% if thinks %}<think>\n{% else %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)

SAMPLE = """The quick brown fox jumps over the lazy dog, and then the dog says hello to the fox. What is the capital of
France? The capital of France is Paris. You are a helpful assistant. Write a short story about a robot that learns to
sing. Once upon a time there was a robot in the town, and the robot was there to help the people of the town."""


@dataclass(frozen=True)
class Shape:
    """The sizes of a transformer; `width` and `hidden` are multiples of 32."""

    architecture: str
    width: int = 64
    layers: int = 2
    heads: int = 4
    key_value_heads: int = 2
    head_width: int = 16
    hidden: int = 128
    context: int = 2048
    tied: bool = False
    biased: bool = False


@dataclass
class Tokenizer:
    """The tokenizer metadata of a model file. A token's id is its index in `texts`."""

    kind: str
    template: str
    bos: str
    eos: str
    adds_bos: bool
    merges: list[str] = field(default_factory=list)
    adds_space_prefix: bool | None = None
    texts: list[str] = field(default_factory=list)
    types: list[TokenType] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def add(self, texts: Iterable[str], kind: TokenType = TokenType.NORMAL, score: float = 0.0) -> None:
        for text in texts:
            if text not in self.texts:
                self.texts.append(text)
                self.types.append(kind)
                self.scores.append(score)


def llama_model(folder: Path, *, half: bool = True, seed: int = 0, context: int = 2048) -> Path:
    """Llama with 380 byte-level tokens and ChatML. Weights are F16, or F32 if `half` is false."""
    name = "llama-f16.gguf" if half else "llama-f32.gguf"
    return write_model(folder / name, Shape("llama", context=context), byte_level(), half=half, seed=seed)


def tool_model(folder: Path, *, reasons: bool = False, seed: int = 4) -> Path:
    """Llama with a chat template that supports tools. With `reasons`, its variable `thinks` enables reasoning."""
    tokenizer = byte_level(template=REASONING if reasons else TOOLS)
    return write_model(folder / "tools.gguf", Shape("llama"), tokenizer, half=True, seed=seed)


def tagged_model(folder: Path, *, seed: int = 4) -> Path:
    """Llama with a chat template that writes arguments between tags, a token for the marker of a call, and a context
    window for many tools.
    """
    tokenizer = byte_level(template=TAGGED)
    tokenizer.add([CALL_MARKER], TokenType.USER_DEFINED)
    return write_model(folder / "tagged.gguf", Shape("llama", context=2**15), tokenizer, half=True, seed=seed)


def qwen2_model(folder: Path, *, half: bool = True, seed: int = 1) -> Path:
    """Qwen2: biased query, key and value, tied embeddings, and a vocabulary of 4096, mostly unused tokens."""
    shape = Shape("qwen2", width=96, layers=3, heads=6, hidden=160, tied=True, biased=True)
    return write_model(folder / "qwen2.gguf", shape, byte_level(size=4096), half=half, seed=seed)


def mistral_model(folder: Path, *, half: bool = True, seed: int = 2) -> Path:
    """The Llama architecture with a SentencePiece vocabulary: BOS, a space prefix, and byte tokens."""
    tokenizer = sentence_pieces(
        "<s>", "</s>", MISTRAL, control=["[INST]", "[/INST]"], user_defined=["<think>"], adds_space_prefix=True
    )
    return write_model(folder / "mistral.gguf", Shape("llama"), tokenizer, half=half, seed=seed)


def gemma_model(folder: Path, *, half: bool = True, seed: int = 3) -> Path:
    """Gemma: another architecture and template, and a SentencePiece vocabulary without a space prefix."""
    tokenizer = sentence_pieces(
        "<bos>", "<eos>", GEMMA, control=["<start_of_turn>", "<end_of_turn>"], user_defined=[], adds_space_prefix=False
    )
    shape = Shape("gemma", heads=2, key_value_heads=1, head_width=32, tied=True)
    return write_model(folder / "gemma.gguf", shape, tokenizer, half=half, seed=seed)


def family_model(folder: Path, name: str, template: str, control: Iterable[str], *, eos: str, seed: int = 5) -> Path:
    """Llama with the chat template and control tokens of a model family."""
    tokenizer = byte_level(template=template, eos=eos)
    tokenizer.add(control, TokenType.CONTROL)
    return write_model(folder / f"{name}.gguf", Shape("llama"), tokenizer, half=True, seed=seed)


def byte_level(*, merges: int = 120, size: int = 0, template: str = CHATML, eos: str = "<|im_end|>") -> Tokenizer:
    """A GPT-2 vocabulary: a token for each byte, merges learnt from a sample, and the control tokens of ChatML."""
    tokenizer = Tokenizer("gpt2", template, bos="<|endoftext|>", eos=eos, adds_bos=False)
    letters = byte_letters()
    tokenizer.add(letters.values())
    tokenizer.merges = learn_merges(SAMPLE, letters, merges)
    tokenizer.add(merge.replace(" ", "") for merge in tokenizer.merges)
    tokenizer.add(["<|endoftext|>", "<|im_start|>", "<|im_end|>"], TokenType.CONTROL)
    tokenizer.add(["<think>"], TokenType.USER_DEFINED)
    tokenizer.add((f"[unused{number}]" for number in range(size - len(tokenizer.texts))), TokenType.UNUSED)
    return tokenizer


def sentence_pieces(
    bos: str, eos: str, template: str, *, control: list[str], user_defined: list[str], adds_space_prefix: bool
) -> Tokenizer:
    """A SentencePiece vocabulary: 256 byte tokens, the sample's characters, its words and their prefixes."""
    tokenizer = Tokenizer("llama", template, bos=bos, eos=eos, adds_bos=True, adds_space_prefix=adds_space_prefix)
    tokenizer.add(["<unk>"], TokenType.UNKNOWN)
    tokenizer.add([bos, eos, *control], TokenType.CONTROL)
    tokenizer.add(user_defined, TokenType.USER_DEFINED)
    tokenizer.add((f"<0x{byte:02X}>" for byte in range(256)), TokenType.BYTE)
    words = [f"▁{word}" for word in SAMPLE.split()]
    for length in range(max(map(len, words)), 0, -1):
        tokenizer.add((word[:length] for word in words if len(word) >= length), score=-100.0 + length)
    tokenizer.add(sorted({letter for word in words for letter in word}), score=-100.0)
    return tokenizer


def byte_letters() -> dict[int, str]:
    """The printable character that represents each byte in GPT-2's vocabulary."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + place) for place, byte in enumerate(others)}


def learn_merges(text: str, letters: dict[int, str], count: int) -> list[str]:
    """Byte pair encoding: merges the most frequent pair of neighbours within words, `count` times."""
    words = Counter(f" {word}" for word in text.split())
    spelled = {word: [letters[byte] for byte in word.encode()] for word in words}
    merges: list[str] = []
    while len(merges) < count:
        pairs = Counter[tuple[str, str]]()
        for word, times in words.items():
            for pair in pairwise(spelled[word]):
                pairs[pair] += times
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(" ".join(best))
        spelled = {word: join_pair(parts, best) for word, parts in spelled.items()}
    return merges


def join_pair(parts: list[str], pair: tuple[str, str]) -> list[str]:
    joined: list[str] = []
    for part in parts:
        if joined and (joined[-1], part) == pair:
            joined[-1] += part
        else:
            joined.append(part)
    return joined


def write_model(path: Path, shape: Shape, tokenizer: Tokenizer, *, half: bool, seed: int) -> Path:
    writer = GGUFWriter(path, shape.architecture)
    write_shape(writer, shape, path.stem)
    writer.add_file_type(LlamaFileType.MOSTLY_F16 if half else LlamaFileType.ALL_F32)
    write_tokenizer(writer, tokenizer)
    for name, weights in random_weights(shape, len(tokenizer.texts), np.random.default_rng(seed)):
        writer.add_tensor(name, weights.astype(np.float16 if half and weights.ndim == 2 else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_shape(writer: GGUFWriter, shape: Shape, name: str) -> None:
    writer.add_name(f"random {name}")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.key_value_heads)
    writer.add_key_length(shape.head_width)
    writer.add_value_length(shape.head_width)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_layer_norm_rms_eps(EPSILON)


def write_tokenizer(writer: GGUFWriter, tokenizer: Tokenizer) -> None:
    writer.add_tokenizer_model(tokenizer.kind)
    writer.add_token_list(tokenizer.texts)
    writer.add_token_types(tokenizer.types)
    writer.add_bos_token_id(tokenizer.texts.index(tokenizer.bos))
    writer.add_eos_token_id(tokenizer.texts.index(tokenizer.eos))
    writer.add_add_bos_token(tokenizer.adds_bos)
    writer.add_chat_template(tokenizer.template)
    if tokenizer.merges:
        writer.add_tokenizer_pre("qwen2")
        writer.add_token_merges(tokenizer.merges)
    else:
        writer.add_token_scores(tokenizer.scores)
    if tokenizer.adds_space_prefix is not None:
        writer.add_add_space_prefix(tokenizer.adds_space_prefix)


def random_weights(
    shape: Shape, vocabulary: int, random: np.random.Generator
) -> Iterable[tuple[str, npt.NDArray[np.float64]]]:
    """Weights that keep each layer's output near unit variance and the logits' deviation near LOGIT_SPREAD."""
    width, queries = shape.width, shape.heads * shape.head_width
    keys = shape.key_value_heads * shape.head_width

    def matrix(rows: int, columns: int, spread: float = 1.0) -> npt.NDArray[np.float64]:
        return random.normal(0, spread / np.sqrt(columns), (rows, columns))

    def scale() -> npt.NDArray[np.float64]:
        return random.uniform(0.8, 1.2, width)

    yield "token_embd.weight", matrix(vocabulary, width, LOGIT_SPREAD if shape.tied else np.sqrt(width))
    for layer in range(shape.layers):
        yield f"blk.{layer}.attn_norm.weight", scale()
        for name, rows in (("q", queries), ("k", keys), ("v", keys)):
            yield f"blk.{layer}.attn_{name}.weight", matrix(rows, width, 1.5)
            if shape.biased:
                yield f"blk.{layer}.attn_{name}.bias", random.normal(0, 0.5, rows)
        yield f"blk.{layer}.attn_output.weight", matrix(width, queries)
        yield f"blk.{layer}.ffn_norm.weight", scale()
        yield f"blk.{layer}.ffn_gate.weight", matrix(shape.hidden, width)
        yield f"blk.{layer}.ffn_up.weight", matrix(shape.hidden, width)
        yield f"blk.{layer}.ffn_down.weight", matrix(width, shape.hidden, 2.0)
    yield "output_norm.weight", scale()
    if not shape.tied:
        yield "output.weight", matrix(vocabulary, width, LOGIT_SPREAD)
