"""Which job runs next: fair turns between accounts, short jobs before long ones, and a bounded queue."""

from oruel.jobs.base import Kind
from oruel.jobs.schedule import SHORT_SECONDS, Job, Schedule

LONG = 2 * SHORT_SECONDS


def arrive(schedule: Schedule, *accounts: str, first: int = 0, kind: Kind = "schema") -> list[int]:
    """The numbers of the jobs that were refused."""
    jobs = [Job(first + index, kind, account) for index, account in enumerate(accounts)]
    refused = [schedule.arrive(job) for job in jobs]
    return [job.number for job in refused if job]


def started(schedule: Schedule) -> list[int]:
    return [job.number for job in schedule.start()]


def gave_way(schedule: Schedule, seconds: dict[int, float]) -> list[int]:
    return [job.number for job in schedule.giving_way(seconds)]


def test_jobs_start_at_once_while_their_kind_has_places() -> None:
    schedule = Schedule(2, 9)
    arrive(schedule, "a", "a", "a")
    arrive(schedule, "a", first=3, kind="prompt")
    assert sorted(started(schedule)) == [0, 1, 3]
    schedule.leave(1)
    assert started(schedule) == [2]


def test_accounts_take_turns_however_many_jobs_one_of_them_sends() -> None:
    schedule = Schedule(2, 99)
    arrive(schedule, *"aaaaaaaa", "b", "c")
    # While one of a's jobs runs, those of the others come before its next.
    assert started(schedule) == [0, 8]
    schedule.leave(8)
    assert started(schedule) == [9]
    schedule.leave(9)
    assert started(schedule) == [1]


def test_the_longest_job_of_the_account_with_the_most_gives_way() -> None:
    schedule = Schedule(3, 9)
    arrive(schedule, "a", "a", "b")
    assert sorted(started(schedule)) == [0, 1, 2]
    arrive(schedule, "c", first=3)
    assert gave_way(schedule, {0: LONG, 1: LONG + 1, 2: LONG + 2}) == [1]
    assert gave_way(schedule, {0: LONG, 2: LONG}) == [], "one that ends makes room for the one that waits"
    schedule.leave(1)
    assert started(schedule) == [3]


def test_a_job_gives_way_only_after_a_while_and_if_others_wait() -> None:
    schedule = Schedule(2, 9)
    arrive(schedule, "a", "a")
    assert started(schedule) == [0, 1]
    assert gave_way(schedule, {0: LONG, 1: LONG}) == []
    arrive(schedule, "b", first=2)
    assert gave_way(schedule, {0: SHORT_SECONDS / 2, 1: SHORT_SECONDS / 2}) == []


def test_an_account_that_fills_the_queue_loses_its_own_newest_job() -> None:
    schedule = Schedule(1, 3)
    assert arrive(schedule, "a") == []
    assert started(schedule) == [0]
    assert arrive(schedule, "a", "a", "a", first=1) == []
    assert arrive(schedule, "b", first=4) == [3]
    assert arrive(schedule, "a", first=5) == [5]


def test_a_caller_who_leaves_the_queue_is_not_started() -> None:
    schedule = Schedule(1, 3)
    arrive(schedule, "a", "a", "a")
    assert started(schedule) == [0]
    schedule.leave(1)
    schedule.leave(0)
    assert started(schedule) == [2]
