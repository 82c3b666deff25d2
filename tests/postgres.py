"""A real PostgreSQL server of the tests' own, in a temporary folder, on a port of the loopback interface."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# Speed: nothing here must survive a crash of the machine. Crashes of the server alone lose nothing without fsync.
SETTINGS = {"fsync": "off", "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "60"}
UNPRIVILEGED = ("postgres", "nobody")


class PostgresServer:
    """A database cluster. It trusts every local connection; its superuser is oruel."""

    def __init__(self, binaries: Path, folder: Path, *, fsync: str = "off") -> None:
        self._binaries = binaries
        self._settings = {**SETTINGS, "fsync": fsync}
        self._user = unprivileged_user()
        self._data = folder / "data"
        self._log = folder / "log"
        self._users = 0
        self.port = free_port()
        if self._user:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        self._run("initdb", "--no-sync", "--auth=trust", "--username=oruel", "--encoding=UTF8", "--locale=C")

    def start(self) -> None:
        """Returns when the server accepts connections."""
        options = " ".join(f"-c {name}='{value}'" for name, value in {**self._settings, "port": self.port}.items())
        self._run("pg_ctl", "start", "--wait", f"--log={self._log}", "--options", options)

    def stop(self) -> None:
        """Ends every connection at once, but in order."""
        self._run("pg_ctl", "stop", "--wait", "--mode=fast")

    def restart(self) -> None:
        self.stop()
        self.start()

    def kill(self) -> None:
        """As if the machine had crashed, or the kernel had run out of memory."""
        self._run("pg_ctl", "stop", "--wait", "--mode=immediate")

    def pause(self) -> None:
        """The server accepts connections, and answers nothing until `resume`."""
        for pid in self.processes():
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in self.processes():
            os.kill(pid, signal.SIGCONT)

    def processes(self) -> list[int]:
        """The server's process and its children."""
        server = int((self._data / "postmaster.pid").read_text().splitlines()[0])
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        return [server, *map(int, children)]

    def create_database(self) -> str:
        """The URL of an empty database, as far as its user sees: a schema of its own. A real one would take 8 MB, and
        longer than most tests.
        """
        self._users += 1
        user = f"test_{self._users}"
        self.execute(f"CREATE ROLE {user} LOGIN; CREATE SCHEMA {user} AUTHORIZATION {user}")
        return self.url(user)

    def url(self, user: str, database: str = "postgres") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, location: str = "") -> list[str]:
        """The rows of the answer, their columns separated by |. Uses psql, so that the tests have a second opinion."""
        url = location or self.url("oruel")
        return self._run(
            "psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--command", statement, url
        ).splitlines()

    def _run(self, program: str, *arguments: str) -> str:
        environment = {"PATH": os.environ["PATH"], "PGDATA": str(self._data), "LC_ALL": "C"}
        user = self._user
        # The server would keep the pipe of pg_ctl open for as long as it runs.
        output = subprocess.DEVNULL if program == "pg_ctl" else subprocess.PIPE
        result = subprocess.run(
            [self._binaries / program, *arguments],
            env=environment,
            cwd=self._data.parent,
            text=True,
            stdout=output,
            stderr=output,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
        )
        if result.returncode:
            log = self._log.read_text() if self._log.exists() else ""
            raise RuntimeError(f"{program} failed: {result.stderr}\n{log[-2000:]}")
        return result.stdout or ""


def unprivileged_user() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root, so root runs it as another user."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(known[name] for name in UNPRIVILEGED if name in known)


def find_binaries() -> Path | None:
    """The folder with PostgreSQL's programs; Debian keeps it out of PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    found = [shutil.which("initdb")] + [str(path / "initdb") for path in debian]
    folders = [Path(program).resolve().parent for program in found if program]
    return next((folder for folder in folders if (folder / "postgres").exists()), None)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running_postgres(*, fsync: str = "off") -> Iterator[PostgresServer]:
    """Skips the test where PostgreSQL isn't installed, unless REQUIRE_POSTGRES says that it must be."""
    binaries = find_binaries()
    if binaries is None:
        reason = "PostgreSQL isn't installed (Debian: apt-get install postgresql)"
        if os.environ.get("REQUIRE_POSTGRES"):
            pytest.fail(reason)
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="oruel-postgres-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(binaries, Path(folder), fsync=fsync)
        server.start()
        try:
            yield server
        finally:
            server.kill()
