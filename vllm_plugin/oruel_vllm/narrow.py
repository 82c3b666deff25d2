"""Steps 2 to 8 for rows in which only leading candidates can be chosen: greedy ones, and those with a filter.

Logits that no step changes are compared as the float32 that they are, which is exact. Everything else is float64.
"""

import torch

from oruel_vllm.draw import below, first_above
from oruel_vllm.leading import by_logit_then_id, leading_tokens
from oruel_vllm.row_tensors import RowTensors

INF = torch.inf


class LeadingCandidates:
    """The `count` leading tokens of each row among those that no step changes, and all changed ones: `tokens` by logit,
    then id, and their `logits` after the penalties, both of shape (rows, candidates).

    `last`, shape (rows, 1), is the logit of the last unchanged one: what isn't here is not above it; −∞ if everything
    is here. `rows`, shape (rows, width), float32: the last column, −∞, pads `changed`. Their
    changed logits are lost.
    """

    def __init__(self, rows: torch.Tensor, tensors: RowTensors, count: int) -> None:
        size = rows.shape[1] - 1
        self._temperature = tensors.temperature
        self._unchanged, self._changed = rows, None
        if tensors.changed is not None:
            self._changed = tensors.change(rows.gather(1, tensors.changed))
            # So that a changed token doesn't count twice.
            rows.scatter_(1, tensors.changed, -INF)
        self.tokens = leading_tokens(self._unchanged, min(count, size))
        self.logits = self._unchanged.gather(1, self.tokens).double()
        self.last = self.logits[:, -1:] if count < size else torch.full_like(self.logits[:, :1], -INF)
        if tensors.changed is not None:
            self.tokens, self.logits = by_logit_then_id(
                torch.cat([self.tokens, tensors.changed], dim=1), torch.cat([self.logits, self._changed], dim=1)
            )

    def weigh(self, logits: torch.Tensor) -> torch.Tensor:
        """exp((logit − maximum) / temperature), in float64."""
        return ((logits.double() - self.logits[:, :1]) / self._temperature).exp()

    @property
    def total_weight(self) -> torch.Tensor:
        """That of the whole row, shape (rows, 1)."""
        total = self.weigh(self._unchanged).sum(dim=1, keepdim=True)
        return total if self._changed is None else total + self.weigh(self._changed).sum(dim=1, keepdim=True)


def choose_greedily(rows: torch.Tensor, tensors: RowTensors) -> torch.Tensor:
    """Step 4 at temperature 0: the token with the largest logit, shape (rows, 1)."""
    return LeadingCandidates(rows, tensors, 1).tokens[:, :1]


def choose_among_leading(
    rows: torch.Tensor, tensors: RowTensors, count: int, *, limited: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """The drawn tokens, and whether the `count` leading candidates of each row sufficed to draw them; both of shape
    (rows, 1). They always suffice with top_k, which is at most `count`. `limited`: whether all rows have top_k.
    """
    candidates = LeadingCandidates(rows, tensors, count)
    weights, is_enough = filtered_weights(candidates, tensors, limited=limited)
    tokens, order = candidates.tokens.sort(dim=1)
    weights = weights.gather(1, order)
    place, _ = first_above(weights, tensors.u * weights.sum(dim=1, keepdim=True))
    return tokens.gather(1, place), is_enough


def filtered_weights(
    candidates: LeadingCandidates, tensors: RowTensors, *, limited: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Steps 4 to 7: the weights of the candidates, 0 for those that a filter leaves out; and whether the candidates
    suffice.
    """
    logits, last = candidates.logits, candidates.last
    ranks = torch.arange(logits.shape[1], device=logits.device)
    has_top_k, has_top_p = tensors.top_k > 0, tensors.top_p < 1
    weights = torch.where(has_top_k & (ranks >= tensors.top_k), 0.0, candidates.weigh(logits))
    total = weights.sum(dim=1, keepdim=True)
    if not limited:
        total = torch.where(has_top_k, total, candidates.total_weight)
    share = torch.minimum(tensors.top_p * total, below(total))
    last_rank = (weights.cumsum(dim=1) <= share).sum(dim=1, keepdim=True)
    edge = logits.gather(1, last_rank.clamp(max=logits.shape[1] - 1))
    has_nucleus = has_top_p & (last_rank < logits.shape[1]) & (edge > last)
    # What isn't among the candidates has at most this weight.
    has_peak = candidates.weigh(last) < tensors.min_p
    weights = torch.where(has_top_p & (ranks > last_rank), 0.0, weights)
    weights = torch.where(weights >= tensors.min_p, weights, 0.0)
    return weights, has_top_k | has_nucleus | has_peak | (last == -INF)
