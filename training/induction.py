"""Copying set up by hand: two layers that begin as a previous-token head and as heads that follow a match.

Such heads are what Olsson et al., "In-context Learning and Induction Heads" (2022), find in trained models: the first
layer notes for each token which one stood before it; the second looks for the places where the current token stood
before, and adds the token that came next there. Training alone hadn't found them in 1.5 million tokens; from here it
only has to learn when to trust them.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from training.model import Block, Llama, Shape

SHARP = 4  # fastest pairs of the rotary embedding, by which the previous token is told from its neighbours
SLOW = 14  # first of the pairs that hardly turn over hundreds of tokens, by which tokens are matched
NEAR_SCALE, MATCH_SCALE = 6.0, 2.2
LOUDER = 8.0
NOTE_SIZE, ASIDE_SIZE, ANSWER_SIZE = 0.06, 0.03, 0.1  # of what is noted and copied, for values of norm 14


def embedding_statistics(embedding: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Mean, [width], and covariance, [width, width], of the normalised embeddings, [tokens, width]."""
    rows = nn.functional.rms_norm(embedding, (embedding.shape[1],))
    weights = (counts / counts.sum() + 1 / len(counts)) / 2
    mean = weights @ rows
    centred = (rows - mean) * weights.sqrt()[:, None]
    return mean, centred.mT @ centred


def common_direction(mean: Tensor, covariance: Tensor) -> Tensor:
    """A unit vector along which the embeddings are nearly all alike."""
    direction = torch.linalg.solve(covariance + 0.05 * torch.eye(len(mean)), mean)
    return direction / direction.norm()


class Circuit:
    """The two layers. Tokens are told apart where their embeddings differ most; notes go where they differ least."""

    def __init__(self, shape: Shape, size: float, mean: Tensor, covariance: Tensor) -> None:
        self.shape, self.size, self.usual = shape, size, common_direction(mean, covariance)
        self.head = shape.head_width
        slow = self.head - 2 * SLOW
        variances, directions = torch.linalg.eigh(covariance)
        self.read = directions[:, -slow:].mT * (variances[-slow:].mean() / variances[-slow:]).sqrt()[:, None]
        self.noted = directions[:, :slow].mT
        self.copied = directions[:, slow : slow + self.head].mT
        self.copied_from = directions[:, -self.head :].mT

    @torch.no_grad()
    def previous(self, block: Block) -> None:
        """Makes the first head of the block look at the token before, and note it; the others add nothing."""
        turn = self.shape.rope_base ** -(torch.arange(0, self.head, 2) / self.head)
        # The score of the token `d` before is the sum of cos(turn * (d - 1)), less what it is for its neighbours.
        here, there = torch.zeros(self.head), torch.zeros(self.head)
        here[0 : 2 * SHARP : 2] = NEAR_SCALE
        there[0 : 2 * SHARP : 2] = NEAR_SCALE * turn[:SHARP].cos()
        there[1 : 2 * SHARP : 2] = NEAR_SCALE * turn[:SHARP].sin()
        here[-2] = NEAR_SCALE
        there[-2] = -NEAR_SCALE * turn[:SHARP].cos().sum()
        attention = block.attention
        attention.query.weight[: self.head] = here[:, None] * self.usual
        attention.key.weight[: self.head] = there[:, None] * self.usual
        attention.value.weight[: len(self.read)] = self.read
        attention.output.weight[:, : len(self.read)] = self.size * NOTE_SIZE * self.noted.mT

    @torch.no_grad()
    def following(self, block: Block) -> None:
        """Makes all heads look where the current token was noted as the one before."""
        attention = block.attention
        for head in range(self.shape.heads):
            rows = slice(head * self.head, (head + 1) * self.head)
            attention.query.weight[rows] = 0.0
            attention.key.weight[rows] = 0.0
            attention.query.weight[rows][2 * SLOW :] = MATCH_SCALE * self.read
            attention.key.weight[rows][2 * SLOW :] = MATCH_SCALE * self.noted

    @torch.no_grad()
    def copy_aside(self, block: Block) -> None:
        """Adds the token found where layers that were trained without it are hardly disturbed, for them to learn."""
        block.attention.value.weight[: self.head] = self.copied_from
        block.attention.output.weight[:, : self.head] = self.size * ASIDE_SIZE * self.copied.mT

    @torch.no_grad()
    def copy_to_answer(self, block: Block) -> None:
        """Adds the embedding of the token found: where the layers behind add nothing yet, it becomes likelier."""
        block.attention.value.weight.copy_(torch.eye(self.shape.width))
        block.attention.output.weight.copy_(ANSWER_SIZE * torch.eye(self.shape.width))


@torch.no_grad()
def scale_residual_stream(model: Llama, times: float) -> None:
    """The same model with everything that layers add up made larger: then a step of the new layers' matrices, which
    Muon makes equally large for all, doesn't drown what the old ones read.
    """
    model.embedding.weight.mul_(times)
    model.norm.weight.div_(times)
    for block in model.blocks:
        block.attention.output.weight.mul_(times)
        block.feed_forward.down.weight.mul_(times)


def add_copying_layers(model: Llama, counts: Tensor, trained: bool) -> Llama:
    """The model with the circuit's layers before its own; `counts` says how often each token occurs."""
    size = LOUDER if trained else 1.0
    scale_residual_stream(model, size)
    shape = replace(model.shape, layers=model.shape.layers + 2)
    deeper = Llama(shape)
    deeper.embedding, deeper.norm = model.embedding, model.norm
    circuit = Circuit(shape, size, *embedding_statistics(model.embedding.weight.detach(), counts))
    previous, following = deeper.blocks[:2]
    circuit.previous(previous)
    circuit.following(following)
    (circuit.copy_aside if trained else circuit.copy_to_answer)(following)
    deeper.blocks = nn.ModuleList([previous, following, *model.blocks])
    return deeper
