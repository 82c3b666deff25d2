"""Sends the output of steps to the API process. Quick steps share a message, since each message wakes that process and
becomes a chunk for each client. Nothing waits longer than HOLD_SECONDS and one step.
"""

import time
from collections.abc import Callable

from oruel.engine.protocol import StepOutput

HOLD_SECONDS = 0.02


class Outbox:
    """`clock` is in seconds and doesn't run backwards."""

    def __init__(self, send: Callable[[StepOutput], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._clock = clock
        self._pending: list[StepOutput] = []
        self._sent = -HOLD_SECONDS

    def post(self, output: StepOutput) -> None:
        """Sends the output at once if a sequence starts, ends or fails, or if the last message is old enough."""
        if not (output.tokens or output.failures or output.started):
            return
        self._pending.append(output)
        if is_news(output) or self._clock() - self._sent >= HOLD_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self._pending:
            self._send(merge_outputs(self._pending))
            self._pending = []
            self._sent = self._clock()


def is_news(output: StepOutput) -> bool:
    return bool(output.started or output.failures) or any(token.finish for token in output.tokens)


def merge_outputs(outputs: list[StepOutput]) -> StepOutput:
    """One message for several steps in order, with the load of the last. There is at least one step."""
    if len(outputs) == 1:
        return outputs[0]
    return StepOutput(
        tokens=[token for output in outputs for token in output.tokens],
        failures=[failure for output in outputs for failure in output.failures],
        started=[started for output in outputs for started in output.started],
        load=outputs[-1].load,
    )
