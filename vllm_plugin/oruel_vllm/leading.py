"""The leading candidates of several rows, exactly in the contract's order: by logit, ties to the lower id."""

import torch

LOW_WORD = 0xFFFFFFFF
HIGH_SHIFT = 32
SIGN_SHIFT, MAGNITUDE = 31, 0x7FFFFFFF


def leading_tokens(rows: torch.Tensor, count: int) -> torch.Tensor:
    """The `count` largest values of each row: their places, in order, shape (rows, count). No value is −0.0.

    Each value and its place become one integer that grows with the value and falls with the place. All of them are
    distinct, so no tie is left to the device.
    """
    if count == 1:
        return rows.argmax(dim=1, keepdim=True)
    bits = rows.view(torch.int32)
    # The bit patterns of negative floats grow with the magnitude.
    ordered = bits ^ ((bits >> SIGN_SHIFT) & MAGNITUDE)
    places = torch.arange(LOW_WORD, LOW_WORD - rows.shape[1], -1, device=rows.device)
    keys = (ordered.long() << HIGH_SHIFT) | places
    return LOW_WORD - (keys.topk(count, dim=1).values & LOW_WORD)


def by_logit_then_id(tokens: torch.Tensor, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    tokens, order = tokens.sort(dim=1)
    logits, order = logits.gather(1, order).sort(dim=1, descending=True, stable=True)
    return tokens.gather(1, order), logits
