"""A reference implementation of Llama in float64 NumPy, which reads its weights from a GGUF file.

Follows https://arxiv.org/abs/2302.13971: RMSNorm before each block, SwiGLU, rotary positions on interleaved pairs,
grouped key-value heads. It has no KV cache; every call computes the whole sequence.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGUFReader

Array = npt.NDArray[np.float64]


class ReferenceLlama:
    def __init__(self, path: Path) -> None:
        reader = GGUFReader(path)
        self.weights: dict[str, Array] = {tensor.name: np.asarray(tensor.data, np.float64) for tensor in reader.tensors}
        self.layers: int = self._field(reader, "llama.block_count")
        self.heads: int = self._field(reader, "llama.attention.head_count")
        self.key_value_heads: int = self._field(reader, "llama.attention.head_count_kv")
        self.base: float = self._field(reader, "llama.rope.freq_base")
        self.epsilon: float = self._field(reader, "llama.attention.layer_norm_rms_epsilon")

    @staticmethod
    def _field(reader: GGUFReader, key: str) -> Any:
        field = reader.get_field(key)
        assert field is not None, key
        return field.contents()

    def logits(self, tokens: list[int]) -> Array:
        """The logits after each of the tokens, shape (tokens, vocabulary)."""
        state = self.weights["token_embd.weight"][tokens]
        for layer in range(self.layers):
            weight = {name: self.weights[f"blk.{layer}.{name}.weight"] for name in BLOCK}
            state = state + self._attention(self._normalise(state, weight["attn_norm"]), weight)
            state = state + self._feed_forward(self._normalise(state, weight["ffn_norm"]), weight)
        return self._normalise(state, self.weights["output_norm.weight"]) @ self.weights["output.weight"].T

    def _normalise(self, state: Array, scale: Array) -> Array:
        mean_square = np.mean(state**2, axis=-1, keepdims=True)
        return np.asarray(state / np.sqrt(mean_square + self.epsilon) * scale)

    def _attention(self, state: Array, weight: dict[str, Array]) -> Array:
        length = len(state)
        queries = self._rotate((state @ weight["attn_q"].T).reshape(length, self.heads, -1))
        keys = self._rotate((state @ weight["attn_k"].T).reshape(length, self.key_value_heads, -1))
        values = (state @ weight["attn_v"].T).reshape(length, self.key_value_heads, -1)
        future = np.triu(np.full((length, length), -np.inf), 1)
        outputs = []
        for head in range(self.heads):
            shared = head * self.key_value_heads // self.heads
            scores = queries[:, head] @ keys[:, shared].T / np.sqrt(queries.shape[-1]) + future
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            outputs.append(weights / weights.sum(axis=-1, keepdims=True) @ values[:, shared])
        return np.concatenate(outputs, axis=-1) @ weight["attn_output"].T

    def _rotate(self, heads: Array) -> Array:
        length, _, width = heads.shape
        angles = np.arange(length)[:, None] * self.base ** (-np.arange(0, width, 2) / width)
        rotated = (heads[..., 0::2] + 1j * heads[..., 1::2]) * np.exp(1j * angles)[:, None]
        return np.stack([rotated.real, rotated.imag], axis=-1).reshape(heads.shape)

    @staticmethod
    def _feed_forward(state: Array, weight: dict[str, Array]) -> Array:
        gate = state @ weight["ffn_gate"].T
        return np.asarray((gate / (1 + np.exp(-gate)) * (state @ weight["ffn_up"].T)) @ weight["ffn_down"].T)


BLOCK = (
    "attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down",
)  # fmt: skip
