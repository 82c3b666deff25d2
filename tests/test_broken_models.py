"""`oruel serve` on model files that nobody can serve: one clear line and status 2, never the end by a signal."""

import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.cli.command_line import COMMAND, CommandLine, Done
from tests.gguf_models import Shape, byte_level, llama_model, write_model
from tests.llama.mutations import Damage
from tests.server import oruel_serve
from tests.soak.processes import PROC, engine_of, is_visible

pytestmark = pytest.mark.model

SEED = "16"
SECONDS = 60
SECRETS = {"ORUEL_API_KEY": "key-of-clients", "OPENAI_API_KEY": "key-upstream", "LLAMA_API_KEY": "key-of-llama"}
NEEDED = {"LD_LIBRARY_PATH": "/nowhere", "CUDA_VISIBLE_DEVICES": "0", "GGML_CUDA_P2P": "1", "OMP_PROC_BIND": "false"}
# Python reads it at its start, in both processes.
UNCHECKED = "from oruel.llama import model; model.check_gguf = lambda path: None"
# Of these copies two are refused by our check, two by llama.cpp, and two are served.
COPIES = (0, 1, 14, 27, 22, 33)


@pytest.fixture
def oruel(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def served(oruel: CommandLine, path: Path, **more: str) -> Done:
    """As far as it came: a server that listens is told to stop."""
    command = [*COMMAND, "serve", "--port", "0", "--threads", "1", "--model", str(path)]
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
        return Done(process.wait(SECONDS), b"", b"".join(lines))


def ask(url: str) -> None:
    """A model that was damaged may answer anything, also an error."""
    body = {"model": "any", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        urllib.request.urlopen(request, timeout=SECONDS).close()
    except urllib.error.HTTPError as error:
        error.close()


def refusal(done: Done) -> str:
    said = done.stderr.decode()
    assert done.returncode == 2, said
    assert "Traceback" not in said
    last = said.splitlines()[-1]
    assert last.startswith("oruel: ")
    return last


def with_value(model: Path, key: str, value: bytes) -> Path:
    """A copy in which the number of `key` is `value`."""
    whole = model.read_bytes()
    place = whole.index(key.encode()) + len(key) + 4
    copy = model.with_name("changed.gguf")
    copy.write_bytes(whole[:place] + value + whole[place + len(value) :])
    return copy


def repeating(folder: Path) -> Path:
    tokenizer = byte_level()
    tokenizer.texts[300] = tokenizer.texts[301]
    return write_model(folder / "twice.gguf", Shape("llama"), tokenizer, half=True, seed=0)


def test_a_vocabulary_that_repeats_itself_is_one_clear_line(oruel: CommandLine, tmp_path: Path) -> None:
    path = repeating(tmp_path)
    assert "tokens 300 and 301 of its vocabulary are the same" in refusal(served(oruel, path))


def test_a_context_of_zero_is_one_clear_line(oruel: CommandLine, tmp_path: Path) -> None:
    path = with_value(llama_model(tmp_path), "llama.context_length", bytes(4))
    assert "llama.context_length is 0" in refusal(served(oruel, path))


def test_what_the_c_library_aborts_on_ends_the_engine_alone(oruel: CommandLine, tmp_path: Path) -> None:
    path = with_value(llama_model(tmp_path), "llama.attention.layer_norm_rms_epsilon", b"\xff" * 4)
    said = refusal(served(oruel, path))
    assert f"The engine process died while it loaded {path} (signal 6)" in said


def test_what_no_check_foresaw_ends_the_engine_alone_too(oruel: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(UNCHECKED)
    path = oruel.environment({})["PYTHONPATH"]
    done = served(oruel, repeating(tmp_path), PYTHONPATH=f"{tmp_path}{os.pathsep}{path}")
    assert "died while it loaded" in refusal(done)
    assert b"id_to_token.size() == token_to_id.size()" in done.stderr
    assert len(done.stderr.splitlines()) == 2, "no debugger's dump"


@pytest.mark.parametrize("number", COPIES)
def test_a_damaged_model_never_ends_the_server_by_a_signal(oruel: CommandLine, tmp_path: Path, number: int) -> None:
    path = tmp_path / "damaged.gguf"
    path.write_bytes(Damage(llama_model(tmp_path).read_bytes(), SEED).copy(number))
    done = served(oruel, path)
    assert done.returncode in (0, 2), f"seed {SEED}: {done.stderr.decode()}"
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(not is_visible(), reason="/proc shows the environment")
def test_the_engine_knows_no_key_and_keeps_what_libraries_read() -> None:
    with oruel_serve(environment=SECRETS | NEEDED) as server:
        engine = engine_of(server.process.pid)
        assert engine
        given = (PROC / str(engine) / "environ").read_bytes()
    variables = dict(line.partition("=")[::2] for line in given.decode().split("\0") if line)
    assert variables.keys() >= NEEDED.keys() | {"PATH"}
    assert not variables.keys() & SECRETS.keys()
    assert not any(value in given.decode() for value in SECRETS.values())
