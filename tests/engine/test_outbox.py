"""Quick steps share messages; starts, ends and failures are sent at once, and nothing is lost or reordered."""

from oruel.engine.outbox import HOLD_SECONDS, Outbox
from oruel.engine.protocol import EngineLoad, SequenceFailed, SequenceStarted, StepOutput, TokenOutput


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def step(*tokens: int, finish: bool = False, started: bool = False, failed: bool = False, steps: int = 0) -> StepOutput:
    return StepOutput(
        tokens=[TokenOutput(1, token, "stop" if finish else None) for token in tokens],
        failures=[SequenceFailed(2, "broken")] if failed else [],
        started=[SequenceStarted(1, 0)] if started else [],
        load=EngineLoad(steps=steps),
    )


def outbox_at(clock: Clock) -> tuple[Outbox, list[StepOutput]]:
    sent: list[StepOutput] = []
    return Outbox(sent.append, clock), sent


def test_quick_steps_share_a_message_in_order_with_the_last_load() -> None:
    clock = Clock()
    outbox, sent = outbox_at(clock)
    outbox.post(step(1))
    for token in (2, 3, 4):
        clock.now += HOLD_SECONDS / 8
        outbox.post(step(token, steps=token))
    clock.now += HOLD_SECONDS
    outbox.post(step(5, steps=5))
    assert [[token.token for token in message.tokens] for message in sent] == [[1], [2, 3, 4, 5]]
    assert sent[-1].load.steps == 5


def test_slow_steps_are_sent_one_by_one() -> None:
    clock = Clock()
    outbox, sent = outbox_at(clock)
    for token in range(4):
        outbox.post(step(token))
        clock.now += 1.5 * HOLD_SECONDS
    assert [message.tokens[0].token for message in sent] == [0, 1, 2, 3]


def test_starts_ends_and_failures_flush_the_pending_output() -> None:
    for news in (step(9, finish=True), step(9, started=True), step(9, failed=True)):
        clock = Clock()
        outbox, sent = outbox_at(clock)
        outbox.post(step(1))
        outbox.post(step(2))
        outbox.post(news)
        assert [token.token for token in sent[-1].tokens] == [2, 9]
        assert (sent[-1].started, sent[-1].failures) == (news.started, news.failures)


def test_steps_without_output_send_no_message() -> None:
    outbox, sent = outbox_at(Clock())
    outbox.post(step())
    outbox.flush()
    assert sent == []


def test_flush_sends_the_pending_output() -> None:
    outbox, sent = outbox_at(Clock())
    outbox.post(step(1))
    outbox.post(step(2))
    outbox.flush()
    assert [token.token for token in sent[-1].tokens] == [2]
