"""Which jobs start: accounts take turns, short jobs preempt long ones, and the queue is bounded."""

from oruel.jobs.base import Kind
from oruel.jobs.schedule import SHORT_SECONDS, Job, Schedule

LONG = 2 * SHORT_SECONDS


def add(schedule: Schedule, *accounts: str, first: int = 0, kind: Kind = "schema") -> list[int]:
    """Adds a job for each account. Returns the numbers of the refused jobs."""
    jobs = [Job(first + index, kind, account) for index, account in enumerate(accounts)]
    refused = [schedule.add(job) for job in jobs]
    return [job.number for job in refused if job]


def started(schedule: Schedule) -> list[int]:
    return [job.number for job in schedule.start()]


def preempted(schedule: Schedule, cpu_seconds: dict[int, float]) -> list[int]:
    return [job.number for job in schedule.preempt(cpu_seconds)]


def test_jobs_start_at_once_while_their_kind_has_free_slots() -> None:
    schedule = Schedule(slots=2, queue=9)
    add(schedule, "a", "a", "a")
    add(schedule, "a", first=3, kind="prompt")
    assert sorted(started(schedule)) == [0, 1, 3]
    schedule.remove(1)
    assert started(schedule) == [2]


def test_accounts_take_turns_even_if_one_sends_many_jobs() -> None:
    schedule = Schedule(slots=2, queue=99)
    add(schedule, *"aaaaaaaa", "b", "c")
    # While a job of a runs, the jobs of other accounts come first.
    assert started(schedule) == [0, 8]
    schedule.remove(8)
    assert started(schedule) == [9]
    schedule.remove(9)
    assert started(schedule) == [1]


def test_the_longest_job_of_the_account_with_the_most_jobs_is_preempted() -> None:
    schedule = Schedule(slots=3, queue=9)
    add(schedule, "a", "a", "b")
    assert sorted(started(schedule)) == [0, 1, 2]
    add(schedule, "c", first=3)
    assert preempted(schedule, {0: LONG, 1: LONG + 1, 2: LONG + 2}) == [1]
    assert preempted(schedule, {0: LONG, 2: LONG}) == [], "the preempted job already makes room for the waiting one"
    schedule.remove(1)
    assert started(schedule) == [3]


def test_only_long_jobs_are_preempted_and_only_if_others_wait() -> None:
    schedule = Schedule(slots=2, queue=9)
    add(schedule, "a", "a")
    assert started(schedule) == [0, 1]
    assert preempted(schedule, {0: LONG, 1: LONG}) == []
    add(schedule, "b", first=2)
    assert preempted(schedule, {0: SHORT_SECONDS / 2, 1: SHORT_SECONDS / 2}) == []


def test_an_account_that_fills_the_queue_loses_its_own_newest_job() -> None:
    schedule = Schedule(slots=1, queue=3)
    assert add(schedule, "a") == []
    assert started(schedule) == [0]
    assert add(schedule, "a", "a", "a", first=1) == []
    assert add(schedule, "b", first=4) == [3]
    assert add(schedule, "a", first=5) == [5]


def test_a_job_removed_from_the_queue_never_starts() -> None:
    schedule = Schedule(slots=1, queue=3)
    add(schedule, "a", "a", "a")
    assert started(schedule) == [0]
    schedule.remove(1)
    schedule.remove(0)
    assert started(schedule) == [2]
