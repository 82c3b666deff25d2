"""Writes a checkpoint as a GGUF file of architecture `llama`: matrices in F16 or Q8_0, norms in F32."""

import argparse
import json
import os
from pathlib import Path

import numpy
import torch
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType
from gguf.quants import quantize

from training.chatml import CONTEXT_LENGTH, END, END_OF_TEXT, SPECIAL_TOKENS, TEMPLATE
from training.model import Shape

BLOCK_NAMES = {
    "attention_norm": "attn_norm",
    "attention.query": "attn_q",
    "attention.key": "attn_k",
    "attention.value": "attn_v",
    "attention.output": "attn_output",
    "feed_forward_norm": "ffn_norm",
    "feed_forward.gate": "ffn_gate",
    "feed_forward.up": "ffn_up",
    "feed_forward.down": "ffn_down",
}


def tensor_name(parameter: str) -> str:
    """Converts `blocks.3.attention.query.weight` to `blk.3.attn_q.weight`."""
    if parameter == "embedding.weight":
        return "token_embd.weight"
    if parameter == "norm.weight":
        return "output_norm.weight"
    _, layer, rest = parameter.split(".", 2)
    return f"blk.{layer}.{BLOCK_NAMES[rest.removesuffix('.weight')]}.weight"


def parameter_name(tensor: str) -> str:
    """Converts `blk.3.attn_q.weight` to `blocks.3.attention.query.weight`."""
    if tensor == "token_embd.weight":
        return "embedding.weight"
    if tensor == "output_norm.weight":
        return "norm.weight"
    names = {exported: name for name, exported in BLOCK_NAMES.items()}
    _, layer, rest, _ = tensor.split(".")
    return f"blocks.{layer}.{names[rest]}.weight"


def add_shape(writer: GGUFWriter, shape: Shape, precision: str) -> None:
    writer.add_context_length(CONTEXT_LENGTH)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(LlamaFileType.MOSTLY_F16 if precision == "F16" else LlamaFileType.MOSTLY_Q8_0)


def add_tokenizer(writer: GGUFWriter, path: Path) -> None:
    model = json.loads(path.read_text())["model"]
    ids: dict[str, int] = model["vocab"]
    tokens = sorted(ids, key=ids.__getitem__)
    kinds = [TokenType.CONTROL if token in SPECIAL_TOKENS else TokenType.NORMAL for token in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in model["merges"]])
    writer.add_eos_token_id(ids[END])
    writer.add_eot_token_id(ids[END])
    writer.add_bos_token_id(ids[END_OF_TEXT])
    writer.add_pad_token_id(ids[END_OF_TEXT])
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


def add_weights(writer: GGUFWriter, weights: dict[str, torch.Tensor], precision: str) -> None:
    for parameter, weight in weights.items():
        values = weight.float().numpy().astype(numpy.float32)
        if values.ndim == 1:
            writer.add_tensor(tensor_name(parameter), values)
        elif precision == "F16":
            writer.add_tensor(tensor_name(parameter), values.astype(numpy.float16))
        else:
            kind = GGMLQuantizationType.Q8_0
            writer.add_tensor(tensor_name(parameter), quantize(values, kind), raw_dtype=kind)


def write_gguf(checkpoint: Path, tokenizer: Path, target: Path, precision: str) -> None:
    """Writes the GGUF file `target` atomically."""
    state = torch.load(checkpoint, map_location="cpu")
    partial = target.with_suffix(".partial")
    writer = GGUFWriter(partial, "llama")
    writer.add_name("oruel-demo")
    writer.add_license("MIT")
    add_shape(writer, Shape(**state["shape"]), precision)
    add_tokenizer(writer, tokenizer)
    add_weights(writer, state["model"], precision)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(partial, target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder with the checkpoint and the tokenizer")
    parser.add_argument("--target", type=Path, required=True, help="the GGUF file to write")
    parser.add_argument("--precision", choices=("F16", "Q8_0"), default="F16", help="precision of the matrices")
    arguments = parser.parse_args()
    work = arguments.work
    write_gguf(work / "checkpoint.pt", work / "tokenizer.json", arguments.target, arguments.precision)
    print(f"{arguments.target}: {arguments.target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
