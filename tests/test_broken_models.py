"""`oruel serve` with broken model files: one clear line and status 2, never death by a signal."""

import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.command_line import COMMAND, CommandLine, Completed
from tests.gguf_models import Shape, byte_level, llama_model, write_model
from tests.llama.mutations import Damage
from tests.server import RunningServer, oruel_serve
from tests.soak.processes import PROC, engine_of, is_visible, job_server_of

pytestmark = pytest.mark.model

SEED = "16"
SECONDS = 60
SECRETS = {"ORUEL_API_KEY": "key-of-clients", "OPENAI_API_KEY": "key-upstream", "LLAMA_API_KEY": "key-of-llama"}
NEEDED = {"LD_LIBRARY_PATH": "/nowhere", "CUDA_VISIBLE_DEVICES": "0", "GGML_CUDA_P2P": "1", "OMP_PROC_BIND": "false"}
# A sitecustomize.py, which Python runs at startup, in both processes.
UNCHECKED = "from oruel.llama import model; model.check_gguf = lambda path: None"
# Our check refuses two of these copies, llama.cpp refuses two, and two are served.
COPIES = (0, 1, 14, 27, 22, 33)


@pytest.fixture
def oruel(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def serve_model(oruel: CommandLine, path: Path, **more: str) -> Completed:
    """Runs the server until it fails, or asks it once and stops it."""
    command = [*COMMAND, "serve", "--store", "none", "--port", "0", "--threads", "1", "--model", str(path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=oruel.environment(more), cwd=oruel.directory
    ) as process:
        lines = []
        assert process.stdout
        for line in process.stdout:
            lines.append(line)
            if url := re.search(rb"listens on (http://\S+)", line):
                ask(url[1].decode())
                process.terminate()
        return Completed(process.wait(SECONDS), b"", b"".join(lines))


def ask(url: str) -> None:
    """Sends a request. A damaged model may answer anything, including an error."""
    body = {"model": "any", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        urllib.request.urlopen(request, timeout=SECONDS).close()
    except urllib.error.HTTPError as error:
        error.close()


def refusal(done: Completed) -> str:
    said = done.stderr.decode()
    assert done.returncode == 2, said
    assert "Traceback" not in said
    last = said.splitlines()[-1]
    assert last.startswith("oruel: ")
    return last


def with_value(model: Path, key: str, value: bytes) -> Path:
    """Copies the model with the number of `key` replaced by `value`."""
    whole = model.read_bytes()
    place = whole.index(key.encode()) + len(key) + 4
    copy = model.with_name("changed.gguf")
    copy.write_bytes(whole[:place] + value + whole[place + len(value) :])
    return copy


def model_with_repeated_token(folder: Path) -> Path:
    tokenizer = byte_level()
    tokenizer.texts[300] = tokenizer.texts[301]
    return write_model(folder / "twice.gguf", Shape("llama"), tokenizer, half=True, seed=0)


def test_a_repeated_token_is_reported_in_one_line(oruel: CommandLine, tmp_path: Path) -> None:
    path = model_with_repeated_token(tmp_path)
    assert "tokens 300 and 301 of its vocabulary are the same" in refusal(serve_model(oruel, path))


def test_a_context_of_zero_is_reported_in_one_line(oruel: CommandLine, tmp_path: Path) -> None:
    path = with_value(llama_model(tmp_path), "llama.context_length", bytes(4))
    assert "llama.context_length is 0" in refusal(serve_model(oruel, path))


def test_an_abort_in_the_c_library_ends_only_the_engine(oruel: CommandLine, tmp_path: Path) -> None:
    path = with_value(llama_model(tmp_path), "llama.attention.layer_norm_rms_epsilon", b"\xff" * 4)
    said = refusal(serve_model(oruel, path))
    assert f"The engine process died while it loaded {path} (signal 6)" in said


def test_an_abort_that_no_check_foresees_ends_only_the_engine(oruel: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(UNCHECKED)
    path = oruel.environment({})["PYTHONPATH"]
    done = serve_model(oruel, model_with_repeated_token(tmp_path), PYTHONPATH=f"{tmp_path}{os.pathsep}{path}")
    assert "died while it loaded" in refusal(done)
    assert b"id_to_token.size() == token_to_id.size()" in done.stderr
    assert len(done.stderr.splitlines()) == 2, "a debugger's dump"


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Completed]:
    """What came of each copy. Two servers run at a time."""
    folder = tmp_path_factory.mktemp("damaged")
    damage = Damage(llama_model(folder).read_bytes(), SEED)

    def serve_copy(number: int) -> Completed:
        path = folder / f"{number}.gguf"
        path.write_bytes(damage.copy(number))
        return serve_model(CommandLine(folder), path)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(COPIES, pool.map(serve_copy, COPIES), strict=True))


@pytest.mark.parametrize("number", COPIES)
def test_a_damaged_model_never_ends_the_server_by_a_signal(damaged: dict[int, Completed], number: int) -> None:
    done = damaged[number]
    assert done.returncode in (0, 2), f"seed {SEED}: {done.stderr.decode()}"
    assert b"Traceback" not in done.stderr


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with oruel_serve(environment=SECRETS | NEEDED) as running:
        yield running


@pytest.mark.skipif(not is_visible(), reason="needs /proc to read the environment")
@pytest.mark.parametrize("process_of", [engine_of, job_server_of])
def test_child_processes_get_the_variables_of_libraries_but_no_keys(
    process_of: Callable[[int], int | None], server: RunningServer
) -> None:
    process = process_of(server.process.pid)
    assert process
    given = (PROC / str(process) / "environ").read_bytes()
    variables = dict(line.partition("=")[::2] for line in given.decode().split("\0") if line)
    assert variables.keys() >= NEEDED.keys() | {"PATH"}
    assert not variables.keys() & SECRETS.keys()
    assert not any(value in given.decode() for value in SECRETS.values())
