"""Runs a vLLM with the plugin on a loopback port, as Oru'el wants it."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

START_SECONDS = 240
MODEL = "oruel-demo"
FLAGS = (
    "--enable-scale-out",
    "--scheduling-policy=priority",
    "--enable-prompt-tokens-details",
    "--max-logprobs=21",
    "--enforce-eager",
    "--dtype=float32",
    "--disable-uvicorn-access-log",
)
SETTINGS = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}


@dataclass
class VLLMProcess:
    """`process` leads the group of all its processes. `root` is the address, without /v1."""

    process: "subprocess.Popen[bytes]"
    root: str
    log: Path

    def send(self, number: signal.Signals) -> None:
        """To all of its processes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def kill_engine(self) -> None:
        """Kills the processes that compute, but not the one that listens."""
        for process in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            os.kill(int(process), signal.SIGKILL)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.process.wait(30)


def command(environment: Path, model: Path, port: int, *flags: str) -> list[str]:
    """`model` is a folder in Hugging Face form."""
    return [
        f"{environment}/bin/python", "-m", "vllm.entrypoints.cli.main", "serve", str(model),
        f"--served-model-name={MODEL}", "--host=127.0.0.1", f"--port={port}", *FLAGS, *flags,
    ]  # fmt: skip


def settings(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment variables of vLLM: our own, which the caller's override, and `variables`."""
    return {**SETTINGS, **os.environ, **(variables or {})}


@contextmanager
def vllm_serve(
    environment: Path,
    model: Path,
    log: Path,
    flags: Sequence[str] = (),
    port: int = 0,
    variables: Mapping[str, str] | None = None,
) -> Iterator[VLLMProcess]:
    """Waits until it listens. Ends all of its processes at the end. Port 0 is any free one."""
    port = port or free_port()
    with log.open("ab") as output:
        process = subprocess.Popen(
            command(environment, model, port, *flags),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=settings(variables),
            start_new_session=True,
        )
    running = VLLMProcess(process, f"http://127.0.0.1:{port}", log)
    try:
        wait_until_listening(running)
        yield running
    finally:
        running.send(signal.SIGTERM)
        running.send(signal.SIGCONT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        running.kill()


def wait_until_listening(running: VLLMProcess) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and running.process.poll() is None:
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(f"{running.root}/health", timeout=5).status_code == 200:
                return
        time.sleep(0.5)
    raise AssertionError(f"vLLM doesn't listen: {running.log.read_text(errors='replace')[-3000:]}")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
