"""Two layers that are initialised as induction heads, so that the model can copy from its prompt from the start.

Olsson et al., "In-context Learning and Induction Heads" (2022), found such heads in trained models. In the first layer,
a previous-token head writes into each position which token precedes it. In the second layer, heads attend to earlier
positions that follow the current token, and add the token found there. Training alone didn't develop such heads within
1.5 million tokens. With this initialisation it only has to learn when to use them.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from training.model import Block, Llama, Shape

SHARP = 4  # number of fast rotary pairs, which distinguish the previous token from its neighbours
SLOW = 14  # index of the first slow rotary pair; slow pairs hardly rotate over hundreds of tokens and match tokens
NEAR_SCALE, MATCH_SCALE = 6.0, 2.2
RESIDUAL_SCALE = 8.0
NOTE_SIZE, ASIDE_SIZE, ANSWER_SIZE = 0.06, 0.03, 0.1  # scales of what the heads add, for values of norm 14


def embedding_statistics(embedding: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """The mean, [width], and covariance, [width, width], of the normalised rows of `embedding`, [tokens, width].

    Rows are weighted by the mean of their token's frequency and a uniform weight.
    """
    rows = nn.functional.rms_norm(embedding, (embedding.shape[1],))
    weights = (counts / counts.sum() + 1 / len(counts)) / 2
    mean = weights @ rows
    centred = (rows - mean) * weights.sqrt()[:, None]
    return mean, centred.mT @ centred


def common_direction(mean: Tensor, covariance: Tensor) -> Tensor:
    """A unit vector along which nearly all embeddings have the same component."""
    direction = torch.linalg.solve(covariance + 0.05 * torch.eye(len(mean)), mean)
    return direction / direction.norm()


class Circuit:
    """Initialises the two layers.

    Tokens are matched along the directions in which embeddings vary most. The previous token is written along those in
    which they vary least.
    """

    def __init__(self, shape: Shape, size: float, mean: Tensor, covariance: Tensor) -> None:
        self.shape, self.size, self.common = shape, size, common_direction(mean, covariance)
        self.head = shape.head_width
        slow = self.head - 2 * SLOW
        variances, directions = torch.linalg.eigh(covariance)
        self.read = directions[:, -slow:].mT * (variances[-slow:].mean() / variances[-slow:]).sqrt()[:, None]
        self.noted = directions[:, :slow].mT
        self.copied = directions[:, slow : slow + self.head].mT
        self.copied_from = directions[:, -self.head :].mT

    @torch.no_grad()
    def set_previous_token_head(self, block: Block) -> None:
        """Makes the block's first head attend to the previous token and add it; the other heads add nothing."""
        turn = self.shape.rope_base ** -(torch.arange(0, self.head, 2) / self.head)
        # The score at distance `d` is the sum of cos(turn * (d - 1)), minus a constant.
        here, there = torch.zeros(self.head), torch.zeros(self.head)
        here[0 : 2 * SHARP : 2] = NEAR_SCALE
        there[0 : 2 * SHARP : 2] = NEAR_SCALE * turn[:SHARP].cos()
        there[1 : 2 * SHARP : 2] = NEAR_SCALE * turn[:SHARP].sin()
        here[-2] = NEAR_SCALE
        there[-2] = -NEAR_SCALE * turn[:SHARP].cos().sum()
        attention = block.attention
        attention.query.weight[: self.head] = here[:, None] * self.common
        attention.key.weight[: self.head] = there[:, None] * self.common
        attention.value.weight[: len(self.read)] = self.read
        attention.output.weight[:, : len(self.read)] = self.size * NOTE_SIZE * self.noted.mT

    @torch.no_grad()
    def set_matching_heads(self, block: Block) -> None:
        """Makes all heads attend to positions whose previous token is the current token."""
        attention = block.attention
        for head in range(self.shape.heads):
            rows = slice(head * self.head, (head + 1) * self.head)
            attention.query.weight[rows] = 0.0
            attention.key.weight[rows] = 0.0
            attention.query.weight[rows][2 * SLOW :] = MATCH_SCALE * self.read
            attention.key.weight[rows][2 * SLOW :] = MATCH_SCALE * self.noted

    @torch.no_grad()
    def set_quiet_copying(self, block: Block) -> None:
        """Adds the token found along directions that hardly disturb layers trained without it."""
        block.attention.value.weight[: self.head] = self.copied_from
        block.attention.output.weight[:, : self.head] = self.size * ASIDE_SIZE * self.copied.mT

    @torch.no_grad()
    def set_direct_copying(self, block: Block) -> None:
        """Adds the embedding of the token found, which raises its logit directly while later layers add nothing."""
        block.attention.value.weight.copy_(torch.eye(self.shape.width))
        block.attention.output.weight.copy_(ANSWER_SIZE * torch.eye(self.shape.width))


@torch.no_grad()
def scale_residual_stream(model: Llama, times: float) -> None:
    """Scales the residual stream in place without changing the model's output.

    Muon's updates have the same size for all matrices. In a larger residual stream, updates of the new layers disturb
    the old layers less.
    """
    model.embedding.weight.mul_(times)
    model.norm.weight.div_(times)
    for block in model.blocks:
        block.attention.output.weight.mul_(times)
        block.feed_forward.down.weight.mul_(times)


def add_copying_layers(model: Llama, counts: Tensor, trained: bool) -> Llama:
    """Returns the model with the two copying layers in front of its own. `counts` has each token's frequency."""
    size = RESIDUAL_SCALE if trained else 1.0
    scale_residual_stream(model, size)
    shape = replace(model.shape, layers=model.shape.layers + 2)
    deeper = Llama(shape)
    deeper.embedding, deeper.norm = model.embedding, model.norm
    circuit = Circuit(shape, size, *embedding_statistics(model.embedding.weight.detach(), counts))
    previous, following = deeper.blocks[:2]
    circuit.set_previous_token_head(previous)
    circuit.set_matching_heads(following)
    (circuit.set_quiet_copying if trained else circuit.set_direct_copying)(following)
    deeper.blocks = nn.ModuleList([previous, following, *model.blocks])
    return deeper
