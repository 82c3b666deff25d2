"""The tokens that one step chose, on their way from the device to the host."""

import torch


class ChosenTokens:
    """Copies `tokens`, int64 of one dimension, without waiting: the model may already compute the next step meanwhile.
    Reading one waits for the copy.
    """

    def __init__(self, tokens: torch.Tensor) -> None:
        self._copied: torch.Event | None = None
        self._values: list[int] | None = None
        if tokens.device.type == "cpu":
            self._values = tokens.tolist()
            return
        self._host = torch.empty(len(tokens), dtype=torch.int64, pin_memory=True)
        self._host.copy_(tokens, non_blocking=True)
        self._copied = torch.Event(tokens.device)
        self._copied.record()

    def token(self, place: int) -> int:
        if self._values is None:
            assert self._copied is not None
            self._copied.synchronize()
            self._values = self._host.tolist()
        return self._values[place]
