"""The demo model in Hugging Face form has the weights of the GGUF file."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader

from oruel.cli.model_source import bundled_model
from training.hugging_face import convert, halve_pairs, weight_name, write_safetensors

HEADS, WIDTH, INPUTS = 3, 8, 5


def turn(row: Any, position: int, pairs: list[tuple[int, int]]) -> Any:
    """Rotates the two values of each pair, the later pairs more slowly."""
    turned = row.copy()
    for index, (first, second) in enumerate(pairs):
        angle = position * 10_000.0 ** (-index / len(pairs))
        cosine, sine = np.cos(angle), np.sin(angle)
        turned[first] = row[first] * cosine - row[second] * sine
        turned[second] = row[first] * sine + row[second] * cosine
    return turned


def test_attention_is_the_same_after_the_rows_of_queries_and_keys_are_reordered() -> None:
    random = np.random.default_rng(3)
    query, key = random.normal(size=(2, HEADS * WIDTH, INPUTS))
    here, there = random.normal(size=(2, INPUTS))
    neighbours = [(2 * index, 2 * index + 1) for index in range(WIDTH // 2)]
    halves = [(index, index + WIDTH // 2) for index in range(WIDTH // 2)]

    def scores(query: Any, key: Any, pairs: list[tuple[int, int]]) -> list[float]:
        queries, keys = (query @ here).reshape(HEADS, WIDTH), (key @ there).reshape(HEADS, WIDTH)
        return [turn(queries[head], 7, pairs) @ turn(keys[head], 2, pairs) for head in range(HEADS)]

    reordered = scores(halve_pairs(query, HEADS), halve_pairs(key, HEADS), halves)
    assert reordered == pytest.approx(scores(query, key, neighbours))
    assert scores(query, key, halves) != pytest.approx(scores(query, key, neighbours))


def test_each_tensor_has_its_name_in_hugging_face_form() -> None:
    assert weight_name("token_embd.weight") == "model.embed_tokens.weight"
    assert weight_name("output_norm.weight") == "model.norm.weight"
    assert weight_name("blk.3.attn_q.weight") == "model.layers.3.self_attn.q_proj.weight"
    assert weight_name("blk.0.ffn_norm.weight") == "model.layers.0.post_attention_layernorm.weight"


def read_safetensors(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    assert length % 8 == 0
    header = json.loads(data[8 : 8 + length])
    assert header.pop("__metadata__") == {"format": "pt"}
    body = data[8 + length :]
    found = {}
    for name, tensor in header.items():
        start, end = tensor["data_offsets"]
        found[name] = np.frombuffer(body[start:end], np.float32).reshape(tensor["shape"])
    assert sum(tensor.nbytes for tensor in found.values()) == len(body)
    return found


def test_weights_are_written_and_read_back(tmp_path: Path) -> None:
    weights = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(5, np.float32)}
    write_safetensors(tmp_path / "weights", weights)
    read = read_safetensors(tmp_path / "weights")
    assert {name: values.tolist() for name, values in read.items()} == {
        name: values.tolist() for name, values in weights.items()
    }


def test_the_demo_model_is_complete(tmp_path: Path) -> None:
    convert(bundled_model(), tmp_path / "demo")
    weights = read_safetensors(tmp_path / "demo" / "model.safetensors")
    config = json.loads((tmp_path / "demo" / "config.json").read_text())
    assert weights["model.embed_tokens.weight"].shape == (config["vocab_size"], config["hidden_size"])
    assert len(weights) == 2 + 9 * config["num_hidden_layers"]
    reader = GGUFReader(bundled_model())
    same = {tensor.name: np.asarray(tensor.data, np.float32) for tensor in reader.tensors}
    assert np.array_equal(weights["model.layers.6.mlp.down_proj.weight"], same["blk.6.ffn_down.weight"])
    assert not np.array_equal(weights["model.layers.6.self_attn.k_proj.weight"], same["blk.6.attn_k.weight"])
    assert np.array_equal(
        np.sort(weights["model.layers.6.self_attn.k_proj.weight"], 0), np.sort(same["blk.6.attn_k.weight"], 0)
    )
