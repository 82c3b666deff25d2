"""`oruel serve` before the server starts: settings, the model file and the banner."""

import io
import json
import shutil
import subprocess
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import pytest

from oruel.addresses import server_url
from oruel.announcement import Announcement
from oruel.cli.banner import render_banner
from oruel.cli.model_source import locate_model
from oruel.errors import ModelLoadError
from oruel.settings import SETTINGS
from tests.cli.chat_server import ChatServer, Reply, json_reply
from tests.cli.command_line import COMMAND, CommandLine

KEY = "a-key-that-no-one-may-see"
GGUF = b"GGUF and the rest"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "no API key is set"),
        (["--ctx", "200", "--kv", "100"], "kv is 100 tokens"),
        (["--port", "many"], "--port must be an integer"),
        (["--config", "absent.toml"], "absent.toml can't be read"),
        (["--model", "absent.gguf"], "There is no model file absent.gguf"),
        (["--model", "hf:nonsense"], "hf:OWNER/REPO/FILE.gguf"),
    ],
)
def test_an_error_is_one_line_with_status_2(oruel: CommandLine, arguments: list[str], message: str) -> None:
    done = oruel.call("serve", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith("oruel: ")
    assert message in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1


def test_an_unknown_variable_is_refused(oruel: CommandLine) -> None:
    done = oruel.run("serve", ORUEL_PROT="1")
    assert done.returncode == 2
    assert done.stderr == b"oruel: Unknown variable ORUEL_PROT: no setting has that name. Did you mean ORUEL_PORT?\n"


def test_help_names_every_flag_and_variable_and_never_the_key(oruel: CommandLine) -> None:
    done = oruel.call("serve", "--help", ORUEL_API_KEY=KEY, COLUMNS="200")
    shown = done.stdout.decode()
    for setting in SETTINGS.values():
        assert f"{setting.flag} " in shown
        assert setting.variable in shown
    assert KEY not in shown


def test_the_bundled_model_is_a_gguf_file() -> None:
    assert locate_model("demo").read_bytes()[:4] == b"GGUF"


def test_a_path_names_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a model.gguf"
    file.write_bytes(GGUF)
    assert locate_model(str(file)) == file


def test_a_file_that_is_not_gguf_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.gguf"
    file.write_bytes(b"PK\x03\x04")
    with pytest.raises(ModelLoadError, match="is not a GGUF file"):
        locate_model(str(file))
    with pytest.raises(ModelLoadError, match="There is no model file"):
        locate_model(str(tmp_path))


@pytest.mark.parametrize(
    "model",
    [
        "hf:",
        "hf:owner/repo",
        "hf:owner/file.gguf",
        "hf:owner/repo/file.bin",
        "hf:owner/repo/../file.gguf",
        "hf:owner/repo//file.gguf",
        "hf:https://huggingface.co/owner/repo/file.gguf",
        "hf:owner/repo/file.gguf\n",
        "hf:owner/repo/file.gguf?download=true",
        "hf:/owner/repo/file.gguf",
        "hf:-owner/repo/file.gguf",
        "hf:owner--x/repo/file.gguf",
        f"hf:owner/{'r' * 100}/file.gguf",
        "hf:owner/repo/model-00002-of-00003.gguf",
    ],
)
def test_only_the_form_hf_owner_repo_file_is_accepted(model: str) -> None:
    with pytest.raises(ModelLoadError) as refused:
        locate_model(model)
    assert refused.value.message


LOCATE = "from oruel.cli.model_source import locate_model; import sys; print(locate_model(sys.argv[1]))"


def test_an_unreachable_hub_is_reported_with_what_to_do(oruel: CommandLine) -> None:
    done = oruel.run("serve", "--model", "hf:owner/repo/file.gguf", HF_ENDPOINT="http://127.0.0.1:1")
    message = done.stderr.decode()
    assert done.returncode == 2
    assert message.startswith("oruel: file.gguf can't be downloaded from http://127.0.0.1:1: ")
    assert "Download it manually from https://huggingface.co/owner/repo/tree/main and name its path instead" in message
    assert "HF_ENDPOINT" in message
    assert "Traceback" not in message


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (401, "RepoNotFound", "The hub has no repository owner/repo, or you have no access to it"),
        (403, "GatedRepo", "owner/repo is gated. Accept its terms at https://huggingface.co/owner/repo"),
        (404, "EntryNotFound", "owner/repo has no file file.gguf"),
        (400, "", "can't be downloaded from http://127.0.0.1"),
    ],
)
def test_a_refusal_by_the_hub_is_reported_with_what_to_do(
    oruel: CommandLine, server: ChatServer, status: int, code: str, message: str
) -> None:
    server.route = lambda method, path: Reply([], status, {"X-Error-Code": code})
    done = oruel.run("serve", "--model", "hf:owner/repo/file.gguf", HF_ENDPOINT=server.url)
    assert done.returncode == 2
    assert message in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_a_file_is_downloaded_from_the_hub_once(oruel: CommandLine, server: ChatServer) -> None:
    def hub(method: str, path: str) -> Reply | None:
        if path != "/owner/repo/resolve/main/folder/file.gguf":
            return None
        headers = {"ETag": '"abc"', "X-Repo-Commit": "c" * 40, "Content-Length": str(len(GGUF))}
        return Reply([] if method == "HEAD" else [GGUF], headers=headers)

    server.route = hub
    program = [COMMAND[0], "-c", LOCATE, "hf:owner/repo/folder/file.gguf"]
    environment = oruel.environment({"HF_ENDPOINT": server.url})
    first = subprocess.run(program, env=environment, capture_output=True, timeout=60, check=True)
    path = Path(first.stdout.decode().strip())
    assert (path.name, path.read_bytes()) == ("file.gguf", GGUF)
    server.route = lambda method, path: json_reply({}, 500)
    again = subprocess.run(program, env=environment, capture_output=True, timeout=60, check=True)
    assert again.stdout == first.stdout


def build_announcement(url: str, *, model: str = "oruel-demo", needs_key: bool = False) -> Announcement:
    aliases = ("llama-4-maverick",)
    return Announcement(url=url, model=model, aliases=aliases, context=4096, kv=32768, parallel=16, needs_key=needs_key)


def test_the_banner_names_the_url_the_model_and_its_capacity() -> None:
    shown = render_banner(build_announcement("http://127.0.0.1:8000"))
    for text in (
        "http://127.0.0.1:8000/\n",
        "http://127.0.0.1:8000/docs",
        "oruel-demo, llama-4-maverick",
        "4096 tokens",
        "32768 in total",
    ):
        assert text in shown
    assert max(map(len, shown.splitlines())) <= 100


@pytest.mark.parametrize(("threads", "line"), [((1, 2), "1 of 2 cores, adjusted"), ((4, 0), "4, fixed")])
def test_the_banner_shows_the_number_of_threads(threads: tuple[int, int], line: str) -> None:
    shown = render_banner(replace(build_announcement("http://127.0.0.1:8000"), threads=(threads,)))
    assert f"  threads     {line}" in shown


def test_the_banner_omits_a_playground_that_is_turned_off() -> None:
    assert "playground" not in render_banner(replace(build_announcement("http://127.0.0.1:8000"), playground=False))


def test_the_banner_omits_an_unknown_context_length() -> None:
    shown = render_banner(
        replace(build_announcement("http://127.0.0.1:8000", model="m"), context=None, others=("own",))
    )
    assert "None" not in shown
    assert "m, llama-4-maverick, own" in shown


def between(shown: str, start: str, end: str) -> str:
    return shown[shown.index(start) : shown.index(end) if end else None]


@pytest.mark.parametrize("needs_key", [False, True])
@pytest.mark.parametrize("model", ["oruel-demo", 'it\'s a "model" $HOME \\'])
def test_the_curl_line_works_when_pasted_into_a_shell(needs_key: bool, model: str) -> None:
    shown = render_banner(build_announcement("http://127.0.0.1:8000", model=model, needs_key=needs_key))
    line = between(shown, "curl ", "From Python")
    shell = shutil.which("sh")
    assert shell
    # A shell function replaces curl, which may not be installed.
    script = f"curl() {{ printf '%s\\0' \"$@\"; }}\n{line}"
    done = subprocess.run([shell, "-c", script], env={"ORUEL_API_KEY": KEY}, capture_output=True, check=True)
    arguments = done.stdout.decode().split("\0")[:-1]
    assert arguments[:3] == ["http://127.0.0.1:8000/v1/chat/completions", "-H", "Content-Type: application/json"]
    assert (f"Authorization: Bearer {KEY}" in arguments) == needs_key
    assert arguments[-2] == "-d"
    assert json.loads(arguments[-1])["model"] == model


@pytest.mark.parametrize("needs_key", [False, True])
def test_the_python_snippet_works_when_pasted(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch, needs_key: bool
) -> None:
    monkeypatch.setenv("ORUEL_API_KEY", KEY)
    choice = {"index": 0, "message": {"role": "assistant", "content": "Knock, knock."}, "finish_reason": "stop"}
    answer = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    server.replies.append(json_reply(answer))
    shown = render_banner(build_announcement(server.url, needs_key=needs_key))
    snippet = shown[shown.index("pip install openai):") :].partition("\n")[2]
    printed = io.StringIO()
    names: dict[str, object] = {}
    with redirect_stdout(printed):
        exec(snippet, names)
    names["client"].close()  # type: ignore[attr-defined]  # the client that the snippet made
    assert printed.getvalue() == "Knock, knock.\n"
    assert server.requests[0]["model"] == "oruel-demo"
    assert (server.headers[0]["authorization"] == f"Bearer {KEY}") == needs_key


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("box.example", "http://box.example:80"),
    ],
)
def test_the_printed_address_is_reachable(host: str, url: str) -> None:
    assert server_url(host, 80) == url


def test_help_lists_the_commands(oruel: CommandLine) -> None:
    shown = oruel.call("--help").stdout.decode()
    for command in ("serve", "params", "chat", "explain", "catalog"):
        assert f"  {command} " in shown
