"""Reads how much CPU time and memory the process of a job uses."""

import os
from dataclasses import dataclass

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class JobUsage:
    """`cpu_seconds` since the process started; `resident` and `virtual` memory in bytes."""

    cpu_seconds: float = 0.0
    resident: int = 0
    virtual: int = 0


def read_job_usage(pid: int) -> JobUsage | None:
    """None if the system has no /proc, such as macOS, or if the process no longer exists.

    Fields: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    user, system, virtual, resident = (int(fields[number - 3]) for number in (14, 15, 23, 24))
    return JobUsage((user + system) / TICKS_PER_SECOND, resident * PAGE_BYTES, virtual)
