"""Where outputs began to be closed by their budget, which the tokens of a preempted row don't tell."""

from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from oruel.engine.vllm.wire import RowRequest

MOST = 256

Beginning = tuple[bytes, tuple[int, ...]]


class ClosingMemory:
    """Remembers the MOST latest. The same request with the same output so far begins to close at the same place."""

    def __init__(self) -> None:
        self._known: OrderedDict[Beginning, None] = OrderedDict()

    def add(self, request: RowRequest, output: Sequence[int]) -> None:
        """The token after `output` was the first that the budget determined."""
        self._known[msgspec.msgpack.encode(request), tuple(output)] = None
        if len(self._known) > MOST:
            self._known.popitem(last=False)

    def find(self, request: RowRequest, output: Sequence[int]) -> int | None:
        """The position from which the budget determined the output."""
        encoded = msgspec.msgpack.encode(request)
        lengths = (len(known) for one, known in self._known if one == encoded and known == tuple(output[: len(known)]))
        return min((length for length in lengths if length < len(output)), default=None)
