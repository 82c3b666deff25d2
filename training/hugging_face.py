"""Writes an exported file in Hugging Face form, for engines that read that form: a folder with the same token ids, chat
template and weights. Needs no torch.
"""

import argparse
import json
import struct
from pathlib import Path
from typing import Any

import numpy
from gguf import GGUFReader
from gguf.quants import dequantize
from tokenizers import AddedToken, Tokenizer

from training.chatml import SPECIAL_TOKENS
from training.tokenizer import build_tokenizer

Weights = dict[str, numpy.ndarray[Any, numpy.dtype[numpy.float32]]]

NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
HEADER_ALIGNMENT = 8


def metadata(reader: GGUFReader, key: str) -> Any:
    return reader.fields[key].contents()


def weight_name(tensor: str) -> str:
    """Converts `blk.3.attn_q.weight` to `model.layers.3.self_attn.q_proj.weight`."""
    if tensor == "token_embd.weight":
        return "model.embed_tokens.weight"
    if tensor == "output_norm.weight":
        return "model.norm.weight"
    _, layer, name, _ = tensor.split(".")
    return f"model.layers.{layer}.{NAMES[name]}.weight"


def halve_pairs(rows: numpy.ndarray[Any, Any], heads: int) -> numpy.ndarray[Any, Any]:
    """Reorders the rows of each head. llama.cpp rotates neighbouring rows of queries and keys together; in Hugging Face
    form, row i of a head is rotated with row i + head_width / 2.
    """
    width, columns = rows.shape
    return rows.reshape(heads, width // heads // 2, 2, columns).swapaxes(1, 2).reshape(width, columns)


def read_weights(reader: GGUFReader) -> Weights:
    heads: int = metadata(reader, "llama.attention.head_count")
    weights = {}
    for tensor in reader.tensors:
        values = numpy.asarray(dequantize(tensor.data, tensor.tensor_type), dtype=numpy.float32)
        if tensor.name.split(".")[-2] in ("attn_q", "attn_k"):
            values = halve_pairs(values, heads)
        weights[weight_name(tensor.name)] = numpy.ascontiguousarray(values)
    return weights


def write_safetensors(path: Path, weights: Weights) -> None:
    """Layout: https://github.com/huggingface/safetensors#format."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, values in weights.items():
        begin, end = end, end + values.nbytes
        header[name] = {"dtype": "F32", "shape": values.shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % HEADER_ALIGNMENT)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for values in weights.values():
            file.write(values.tobytes())


def model_config(reader: GGUFReader) -> dict[str, Any]:
    width, heads = metadata(reader, "llama.embedding_length"), metadata(reader, "llama.attention.head_count")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float32",
        "vocab_size": metadata(reader, "llama.vocab_size"),
        "hidden_size": width,
        "head_dim": width // heads,
        "num_attention_heads": heads,
        "num_key_value_heads": metadata(reader, "llama.attention.head_count_kv"),
        "num_hidden_layers": metadata(reader, "llama.block_count"),
        "intermediate_size": metadata(reader, "llama.feed_forward_length"),
        "max_position_embeddings": metadata(reader, "llama.context_length"),
        "rope_theta": metadata(reader, "llama.rope.freq_base"),
        "rms_norm_eps": metadata(reader, "llama.attention.layer_norm_rms_epsilon"),
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": metadata(reader, "tokenizer.ggml.bos_token_id"),
        "eos_token_id": metadata(reader, "tokenizer.ggml.eos_token_id"),
        "pad_token_id": metadata(reader, "tokenizer.ggml.padding_token_id"),
    }


def complete_tokenizer(reader: GGUFReader) -> Tokenizer:
    """The tokenizer of the model, which knows its special tokens."""
    tokenizer = build_tokenizer(reader)
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in SPECIAL_TOKENS])
    return tokenizer


def tokenizer_config(reader: GGUFReader) -> dict[str, Any]:
    names = metadata(reader, "tokenizer.ggml.tokens")
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": names[metadata(reader, "tokenizer.ggml.bos_token_id")],
        "eos_token": names[metadata(reader, "tokenizer.ggml.eos_token_id")],
        "pad_token": names[metadata(reader, "tokenizer.ggml.padding_token_id")],
        "add_bos_token": metadata(reader, "tokenizer.ggml.add_bos_token"),
        "clean_up_tokenization_spaces": False,
        "model_max_length": metadata(reader, "llama.context_length"),
        "chat_template": metadata(reader, "tokenizer.chat_template"),
    }


def write_texts(reader: GGUFReader, folder: Path) -> None:
    """Writes everything but the weights."""
    config = model_config(reader)
    generation = {key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    complete_tokenizer(reader).save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", tokenizer_config(reader))
    write_json(folder / "generation_config.json", generation)
    write_json(folder / "config.json", config)


def write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def convert(model: Path, folder: Path) -> None:
    """Writes the GGUF file `model` into `folder`, which is created if necessary. Weights are in F32, so that an engine
    doesn't round them again.
    """
    reader = GGUFReader(model)
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / "model.safetensors", read_weights(reader))
    write_texts(reader, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="the exported GGUF file")
    parser.add_argument("--target", type=Path, required=True, help="the folder to write")
    arguments = parser.parse_args()
    convert(arguments.model, arguments.target)
    print(f"{arguments.target}: {sum(file.stat().st_size for file in arguments.target.iterdir()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
