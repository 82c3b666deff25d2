"""The endpoint in its own process, with shorter timeouts than `oruel serve`. Run as a module, it is that process."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oruel import app
from oruel.app import ServerTimeouts
from oruel.cli import banner, logs
from oruel.router.deployment import CatalogModel, Deployment, EmbeddedSource
from oruel.settings import Settings
from tests.server import RunningServer, wait_for_url

ROOT = Path(__file__).parent.parent


def start_server(model: Path, *, grace: float = 10, watchdog: float = 30) -> subprocess.Popen[str]:
    """Starts the server in its own session, as a terminal would."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.impatient_server", str(model), str(grace), str(watchdog)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )


@contextmanager
def killed_at_exit(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    assert process.stdout
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)
        process.stdout.close()


@contextmanager
def impatient_server(model: Path, *, grace: float = 10, watchdog: float = 30) -> Iterator[RunningServer]:
    lines: list[str] = []
    with killed_at_exit(start_server(model, grace=grace, watchdog=watchdog)) as process:
        url = wait_for_url(process, lines)
        reader = threading.Thread(target=lambda: lines.extend(process.stdout or []), daemon=True)
        reader.start()
        yield RunningServer(process, url, lines)
        process.kill()
        reader.join(30)


if __name__ == "__main__":
    model, grace, watchdog = sys.argv[1:]
    settings = Settings(model=model, port=0, threads=1, parallel=10)
    logs.configure("json")
    only_model = CatalogModel(Path(model).stem, (Deployment("engine", EmbeddedSource(model)),))
    timeouts = ServerTimeouts(grace=float(grace), watchdog=float(watchdog))
    app.serve(settings, [only_model], {model: Path(model)}, banner.print_banner, timeouts)
