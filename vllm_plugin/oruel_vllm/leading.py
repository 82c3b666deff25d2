"""The leading candidates of several rows, exactly in the contract's order: by logit, ties to the lower id."""

import torch

LOW_WORD = 0xFFFFFFFF
HIGH_SHIFT = 32
SIGN_SHIFT, MAGNITUDE = 31, 0x7FFFFFFF
# Blocks of this width are compared by their largest values first. A row is padded to a multiple of it.
BLOCK = 64


def leading_tokens(rows: torch.Tensor, count: int) -> torch.Tensor:
    """The `count` largest values of each row: their places, in order, shape (rows, count).

    Only the `count` leading blocks can hold them: every other block comes after `count` values that lead blocks.
    """
    if count == 1:
        return rows.argmax(dim=1, keepdim=True)
    height, width = rows.shape
    if width % BLOCK or count * BLOCK >= width:
        return leading_places(rows, count)
    blocks = rows.view(height, -1, BLOCK)
    leading = leading_places(blocks.amax(dim=2), count).sort(dim=1).values
    values = blocks.gather(1, leading.unsqueeze(2).expand(-1, -1, BLOCK)).flatten(1)
    places = leading_places(values, count)
    return leading.gather(1, places // BLOCK) * BLOCK + places % BLOCK


def leading_places(rows: torch.Tensor, count: int) -> torch.Tensor:
    """Each value and its place become one integer that grows with the value and falls with the place. All of them are
    distinct, so no tie is left to the device.
    """
    # Adding 0 turns −0.0 into 0.0. The bit patterns of negative floats grow with the magnitude.
    bits = (rows + 0.0).view(torch.int32)
    ordered = bits ^ ((bits >> SIGN_SHIFT) & MAGNITUDE)
    places = torch.arange(LOW_WORD, LOW_WORD - rows.shape[1], -1, device=rows.device)
    keys = (ordered.long() << HIGH_SHIFT) | places
    return LOW_WORD - (keys.topk(count, dim=1).values & LOW_WORD)


def by_logit_then_id(tokens: torch.Tensor, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    tokens, order = tokens.sort(dim=1)
    logits, order = (logits + 0.0).gather(1, order).sort(dim=1, descending=True, stable=True)
    return tokens.gather(1, order), logits
