import subprocess
from pathlib import Path

import pytest

from oruel.cli.tokenizer_source import locate_tokenizer
from oruel.errors import ModelLoadError
from tests.cli.chat_server import ChatServer, Reply, json_reply
from tests.cli.command_line import COMMAND, CommandLine
from tests.hugging_face_models import write_demo

LOCATE = "from oruel.cli.tokenizer_source import locate_tokenizer; import sys; print(locate_tokenizer(sys.argv[1]))"
COMMIT = "c" * 40


@pytest.mark.parametrize(
    "name", ["hf:", "hf:repo", "hf:owner/", "hf:owner/repo/file", "hf:owner/..", "hf:-o/repo", "hf:owner/repo\n"]
)
def test_only_the_form_hf_owner_repo_is_accepted(name: str) -> None:
    with pytest.raises(ModelLoadError, match="does not name a repository on the hub"):
        locate_tokenizer(name)


def test_a_path_is_used_as_it_is() -> None:
    assert locate_tokenizer("~/model") == Path.home() / "model"


def test_a_tokenizer_is_downloaded_from_the_hub_once_and_without_weights(
    oruel: CommandLine, server: ChatServer, tmp_path: Path
) -> None:
    folder = write_demo(tmp_path / "demo")
    asked: list[str] = []

    def hub(method: str, path: str) -> Reply | None:
        name = path.rpartition("/")[2]
        asked.append(name)
        if not (folder / name).is_file():
            return Reply([], 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        data = (folder / name).read_bytes()
        headers = {"ETag": f'"{name}"', "X-Repo-Commit": COMMIT, "Content-Length": str(len(data))}
        return Reply([] if method == "HEAD" else [data], headers=headers)

    server.route = hub
    program = [COMMAND[0], "-c", LOCATE, "hf:owner/repo"]
    environment = oruel.environment({"HF_ENDPOINT": server.url})
    first = subprocess.run(program, env=environment, capture_output=True, timeout=60, check=True)
    found = Path(first.stdout.decode().strip())
    assert {file.name for file in found.iterdir()} == {file.name for file in folder.iterdir()}
    assert "model.safetensors" not in asked
    server.route = lambda method, path: json_reply({}, 500)
    again = subprocess.run(program, env=environment, capture_output=True, timeout=60, check=True)
    assert again.stdout == first.stdout


def test_a_repository_without_a_tokenizer_is_refused(oruel: CommandLine, server: ChatServer) -> None:
    server.route = lambda method, path: Reply([], 404, {"X-Error-Code": "EntryNotFound"})
    program = [COMMAND[0], "-c", LOCATE, "hf:owner/repo"]
    environment = oruel.environment({"HF_ENDPOINT": server.url})
    done = subprocess.run(program, env=environment, capture_output=True, timeout=60, check=False)
    assert b"owner/repo has no file tokenizer.json" in done.stderr
