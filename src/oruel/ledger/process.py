"""Tells whether a process that another one recorded is still running."""

import os
import socket
import subprocess
from pathlib import Path

GONE = frozenset("ZX")
"""The states of processes that have ended, and whose parents have not asked for their exit status."""


def this_host() -> str:
    """Identifies what gives a process id its meaning: the machine since it booted, and the namespace of processes."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def process_start(pid: int) -> str | None:
    """When a process of this host started, in a form that only serves to compare. None if there is no such process, ""
    if the operating system doesn't tell.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except (PermissionError, OverflowError):
        pass  # Another user's process.
    try:
        return start_in_stat(Path(f"/proc/{pid}/stat").read_text(errors="replace"))
    except OSError:
        return start_in_ps(pid)


def start_in_stat(stat: str) -> str | None:
    """The name of the program is in parentheses, and may contain spaces and parentheses itself."""
    state, *rest = stat.rpartition(")")[2].split()
    return None if state in GONE else rest[18]


def start_in_ps(pid: int) -> str:
    """For systems without /proc."""
    try:
        result = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True)
    except OSError:
        return ""
    return result.stdout.strip()
