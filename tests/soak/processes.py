"""The server's processes as Linux' /proc shows them: the API process and the engine process."""

from pathlib import Path

PROC = Path("/proc")


def is_visible() -> bool:
    """Whether this system has what the rest of this file reads."""
    return (PROC / "self" / "task").is_dir()


def engine_of(server: int) -> int | None:
    """None while there is no engine, or no server."""
    try:
        children = (PROC / str(server) / "task" / str(server) / "children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    engines = [int(child) for child in children if runs_engine(int(child))]
    return engines[0] if len(engines) == 1 else None


def runs_engine(process: int) -> bool:
    """By its command line: the server has another child, which prepares requests."""
    try:
        return b"oruel.engine.worker" in (PROC / str(process) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def resident_bytes(process: int) -> int | None:
    """None for a process that is no more."""
    try:
        status = (PROC / str(process) / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # A process that has ended, but was not waited for, has no memory.
    kibibytes = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(kibibytes[0]) * 1024 if kibibytes else None
