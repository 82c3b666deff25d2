"""Reads the server's API process and engine process from Linux's /proc."""

from pathlib import Path

PROC = Path("/proc")


def is_visible() -> bool:
    """Whether this system has the /proc files that this module reads."""
    return (PROC / "self" / "task").is_dir()


def engine_of(server: int) -> int | None:
    """The process id of the server's engine; None while there is no engine or no server."""
    return child_of(server, b"oruel.engine.worker")


def job_server_of(server: int) -> int | None:
    return child_of(server, b"oruel.jobs.server")


def child_of(server: int, module: bytes) -> int | None:
    """The process id of the only child that runs the module; None if there is none, or no server."""
    try:
        children = (PROC / str(server) / "task" / str(server) / "children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    found = [int(child) for child in children if runs(int(child), module)]
    return found[0] if len(found) == 1 else None


def runs(process: int, module: bytes) -> bool:
    try:
        return module in (PROC / str(process) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def resident_bytes(process: int) -> int | None:
    """The resident memory of a process; None if it no longer exists."""
    try:
        status = (PROC / str(process) / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # A zombie has no VmRSS line.
    kibibytes = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(kibibytes[0]) * 1024 if kibibytes else None
