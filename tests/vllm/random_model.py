"""A small model of random weights in Hugging Face form, with the control tokens of several formats of calls."""

import json
import shutil
from pathlib import Path

from gguf import GGUFReader, TokenType
from tokenizers import AddedToken

from tests.gguf_models import CALL_MARKER, EPSILON, ROPE_BASE, TAGGED, Shape, Tokenizer, byte_level, write_model
from tests.text.formats.spoken import HARMONY
from training.hugging_face import read_weights, write_json, write_safetensors
from training.tokenizer import build_tokenizer

# Widths that vLLM's attention has kernels for on the CPU.
SHAPE = Shape("llama", width=128, heads=4, key_value_heads=2, head_width=32, context=2**15, tied=True)
PYTHON_MARKS = ("<|tool_call_start|>", "<|tool_call_end|>")
ENDS = ("<|im_end|>", "<|return|>")


def vocabulary() -> Tokenizer:
    tokenizer = byte_level(template=TAGGED)
    tokenizer.add([CALL_MARKER], TokenType.USER_DEFINED)
    tokenizer.add([*HARMONY["control"], *PYTHON_MARKS], TokenType.CONTROL)
    return tokenizer


def write_random(folder: Path) -> Path:
    """Creates the folder."""
    folder.mkdir()
    known = vocabulary()
    reader = GGUFReader(write_model(folder / "random.gguf", SHAPE, known, half=False, seed=5))
    write_safetensors(folder / "model.safetensors", read_weights(reader))
    write_tokenizer(folder, reader, known)
    write_config(folder, known)
    return folder


def write_tokenizer(folder: Path, reader: GGUFReader, known: Tokenizer) -> None:
    tokenizer = build_tokenizer(reader)
    for text, kind in zip(known.texts, known.types, strict=True):
        if kind == TokenType.CONTROL:
            tokenizer.add_special_tokens([AddedToken(text, normalized=False, special=True)])
        elif kind == TokenType.USER_DEFINED:
            tokenizer.add_tokens([AddedToken(text, normalized=False, special=False)])
    tokenizer.save(str(folder / "tokenizer.json"))


def write_config(folder: Path, known: Tokenizer) -> None:
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float32",
        "vocab_size": len(known.texts),
        "hidden_size": SHAPE.width,
        "head_dim": SHAPE.head_width,
        "num_attention_heads": SHAPE.heads,
        "num_key_value_heads": SHAPE.key_value_heads,
        "num_hidden_layers": SHAPE.layers,
        "intermediate_size": SHAPE.hidden,
        "max_position_embeddings": SHAPE.context,
        "rope_theta": ROPE_BASE,
        "rms_norm_eps": EPSILON,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "eos_token_id": known.texts.index(ENDS[0]),
    }
    write_json(folder / "config.json", config)
    write_json(folder / "generation_config.json", {"eos_token_id": [known.texts.index(end) for end in ENDS]})
    write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": ENDS[0], "chat_template": TAGGED},
    )


def with_template(model: Path, folder: Path, template: str) -> Path:
    """The tokenizer of `model` with another chat template."""
    folder.mkdir()
    for name in ("config.json", "generation_config.json", "tokenizer.json"):
        shutil.copy(model / name, folder)
    config = json.loads((model / "tokenizer_config.json").read_text())
    write_json(folder / "tokenizer_config.json", config | {"chat_template": template})
    return folder
