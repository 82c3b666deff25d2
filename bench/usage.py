"""The resources that a process and its descendants have used, from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class ResourceUsage:
    """CPU seconds and peak resident memory in MiB so far, each summed over the processes."""

    cpu_seconds: float
    peak_mib: float


def read_usage(pid: int) -> ResourceUsage:
    processes = tree(pid)
    return ResourceUsage(sum(map(cpu_seconds, processes)), sum(map(peak_mib, processes)))


def tree(pid: int) -> list[int]:
    children = (int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return [pid, *(descendant for child in children for descendant in tree(child))]


def cpu_seconds(pid: int) -> float:
    # The second field is the name in parentheses, which may contain spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_mib(pid: int) -> float:
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024
