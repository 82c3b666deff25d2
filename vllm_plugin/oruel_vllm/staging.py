"""Page-locked memory from which a GPU copies, so that nothing waits for the copy."""

from typing import Any

import torch
from numpy.typing import NDArray

# While the device copies one, the next step fills another.
BUFFERS = 2


class Staging:
    """Arrays of the shape and the type of `target`, each sent to it."""

    def __init__(self, target: torch.Tensor) -> None:
        self._target = target
        self._buffers = [
            torch.zeros(target.shape, dtype=target.dtype, device="cpu", pin_memory=True) for _ in range(BUFFERS)
        ]
        self._copied = [torch.cuda.Event() for _ in range(BUFFERS)]
        self._current = 0

    def array(self) -> NDArray[Any]:
        """To be filled, then sent. Waits if the device still copies what was in it."""
        self._current = (self._current + 1) % BUFFERS
        self._copied[self._current].synchronize()
        filled: NDArray[Any] = self._buffers[self._current].numpy()
        return filled

    def send(self) -> None:
        self._target.copy_(self._buffers[self._current], non_blocking=True)
        self._copied[self._current].record()
