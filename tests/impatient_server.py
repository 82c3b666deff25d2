"""The endpoint in a process of its own, less patient than `oruel serve`. Run as a module, it is that process."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oruel import app
from oruel.app import ServerTimeouts
from oruel.cli import banner, logs
from oruel.config import Settings
from oruel.router.deployment import CatalogModel, Deployment, EmbeddedSource
from tests.server import RunningServer, wait_for_url

ROOT = Path(__file__).parent.parent


def start(model: Path, *, grace: float = 10, silence: float = 30) -> subprocess.Popen[str]:
    """In a session of its own, as from a terminal of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.impatient_server", str(model), str(grace), str(silence)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    assert process.stdout
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)
        process.stdout.close()


@contextmanager
def impatient_server(model: Path, *, grace: float = 10, silence: float = 30) -> Iterator[RunningServer]:
    lines: list[str] = []
    with ended(start(model, grace=grace, silence=silence)) as process:
        url = wait_for_url(process, lines)
        reader = threading.Thread(target=lambda: lines.extend(process.stdout or []), daemon=True)
        reader.start()
        yield RunningServer(process, url, lines)
        process.kill()
        reader.join(30)


if __name__ == "__main__":
    model, grace, silence = sys.argv[1:]
    settings = Settings(model=model, port=0, threads=1, parallel=10)
    logs.configure("json")
    alone = CatalogModel(Path(model).stem, (Deployment("engine", EmbeddedSource(model)),))
    patience = ServerTimeouts(grace=float(grace), silence=float(silence))
    app.serve(settings, [alone], {model: Path(model)}, banner.print_banner, patience)
