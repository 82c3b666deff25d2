"""The network: a Llama decoder with tied embeddings. llama.cpp can use its weights without permuting them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """Sizes of the network. Widths must be multiples of 32, so that every row can be stored as Q8_0."""

    vocabulary: int
    layers: int = 7
    width: int = 192
    heads: int = 3
    feed_forward: int = 512
    rope_base: float = 10_000.0
    norm_epsilon: float = 1e-5

    @property
    def head_width(self) -> int:
        return self.width // self.heads


def rotation(length: int, shape: Shape, device: torch.device) -> Tensor:
    """Cosines and sines of the rotary embedding (Su et al. 2021), [2, length, head_width / 2]."""
    half = torch.arange(0, shape.head_width, 2, dtype=torch.float32, device=device) / shape.head_width
    angles = torch.outer(torch.arange(length, dtype=torch.float32, device=device), shape.rope_base**-half)
    return torch.stack((angles.cos(), angles.sin()))


def rotate(x: Tensor, turns: Tensor) -> Tensor:
    """Rotates adjacent pairs of the last dimension, as llama.cpp does for the architecture `llama`."""
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    cosine, sine = turns
    return torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), dim=-1).flatten(-2)


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.query = nn.Linear(shape.width, shape.width, bias=False)
        self.key = nn.Linear(shape.width, shape.width, bias=False)
        self.value = nn.Linear(shape.width, shape.width, bias=False)
        self.output = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, x: Tensor, turns: Tensor) -> Tensor:
        rows, length, width = x.shape
        query, key, value = (
            layer(x).view(rows, length, self.heads, -1).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        query, key = rotate(query, turns), rotate(key, turns)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.output(mixed.transpose(1, 2).reshape(rows, length, width))


class FeedForward(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.up = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.down = nn.Linear(shape.feed_forward, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(functional.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(shape.width, eps=shape.norm_epsilon)
        self.attention = Attention(shape)
        self.feed_forward_norm = nn.RMSNorm(shape.width, eps=shape.norm_epsilon)
        self.feed_forward = FeedForward(shape)

    def forward(self, x: Tensor, turns: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x), turns)
        return x + self.feed_forward(self.feed_forward_norm(x))


class Llama(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, eps=shape.norm_epsilon)
        self.apply(initialise)
        for block in self.blocks:
            nn.init.zeros_(block.attention.output.weight)
            nn.init.zeros_(block.feed_forward.down.weight)

    def features(self, tokens: Tensor) -> Tensor:
        """The final features, [rows, length, width], of token ids, [rows, length]."""
        turns = rotation(tokens.shape[1], self.shape, tokens.device)
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, turns)
        return self.norm(x)

    def logits(self, features: Tensor) -> Tensor:
        return functional.linear(features, self.embedding.weight)


def initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.5 * module.in_features**-0.5)
    if isinstance(module, nn.Embedding):
        # A common mean doesn't affect the choice between tokens. It gives induction.py a direction that all share.
        nn.init.normal_(module.weight, mean=0.05, std=0.05)
