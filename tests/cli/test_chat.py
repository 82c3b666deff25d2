"""`oruel chat` against a server on the loopback interface: what it sends, what it shows, and how it reports errors."""

import itertools
import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from oruel.contract.parameters import PARAMETERS
from tests.cli.chat_server import DONE, ChatServer, Reply, chunk, event, json_reply, text_stream, usage
from tests.cli.command_line import COMMAND, CommandLine, Completed

KEY = "a-key-that-no-one-may-see"


@contextmanager
def terminal(oruel: CommandLine, server: ChatServer, *arguments: str) -> Iterator["Terminal"]:
    """Runs a chat on a pseudo-terminal."""
    ours, theirs = pty.openpty()
    program = subprocess.Popen(
        [*COMMAND, "chat", "--base-url", server.base_url, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=oruel.directory,
        env=oruel.environment({}),
    )
    os.close(theirs)
    try:
        yield Terminal(ours, program)
    finally:
        program.kill()
        program.wait()
        os.close(ours)


class Terminal:
    def __init__(self, descriptor: int, program: "subprocess.Popen[bytes]") -> None:
        self.program = program
        self._descriptor = descriptor
        self._unread = b""

    def type(self, line: str) -> None:
        os.write(self._descriptor, f"{line}\n".encode())

    def control_d(self) -> None:
        os.write(self._descriptor, b"\x04")

    def read_until(self, expected: str) -> str:
        while expected.encode() not in self._unread:
            assert self._read(30), f"{expected!r} never arrived, only {self._unread!r}"
        shown, found, self._unread = self._unread.partition(expected.encode())
        return (shown + found).decode(errors="replace")

    def interrupt_until(self, expected: str) -> None:
        """Repeats the signal: Python can miss one that arrives just before it waits for input."""
        for _ in range(60):
            self.program.send_signal(signal.SIGINT)
            while self._read(0.5):
                pass
            if expected.encode() in self._unread:
                return
        raise AssertionError(f"{expected!r} never arrived, only {self._unread!r}")

    def _read(self, seconds: float) -> bool:
        readable, _, _ = select.select([self._descriptor], [], [], seconds)
        if readable:
            self._unread += os.read(self._descriptor, 65536)
        return bool(readable)


def one_shot(oruel: CommandLine, server: ChatServer, *arguments: str, stdin: bytes = b"") -> Completed:
    return oruel.call("chat", "--base-url", server.base_url, *arguments, stdin=stdin)


def test_a_message_argument_is_sent_and_only_the_answer_is_on_stdout(oruel: CommandLine, server: ChatServer) -> None:
    server.reply_with(*text_stream("Two", " and two."))
    done = oruel.run("chat", "--base-url", server.base_url, "What is 2 + 2?")
    assert (done.returncode, done.stdout) == (0, b"Two and two.\n")
    assert "tiny-1 · turbo · stop · 3 + 2 tokens" in done.stderr.decode()
    assert server.requests[0]["messages"] == [{"role": "user", "content": "What is 2 + 2?"}]


def test_a_piped_message_is_sent(oruel: CommandLine, server: ChatServer) -> None:
    server.reply_with(*text_stream("Fine."))
    done = oruel.run(
        "chat", "--base-url", server.base_url, "--system", "Be brief.", stdin="Wie geht's?\nGrüße\n".encode()
    )
    assert (done.returncode, done.stdout) == (0, b"Fine.\n")
    assert server.requests[0]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Wie geht's?\nGrüße"},
    ]


def test_the_default_model_is_the_first_that_the_server_lists(oruel: CommandLine, server: ChatServer) -> None:
    server.reply_with(*text_stream("a"))
    server.reply_with(*text_stream("b"))
    one_shot(oruel, server, "x")
    one_shot(oruel, server, "x", "--model", "other")
    assert [request["model"] for request in server.requests] == ["tiny", "other"]


def test_every_parameter_is_an_option_and_sent_in_its_json_type(oruel: CommandLine, server: ChatServer) -> None:
    given = {
        "temperature": ("0.3", 0.3), "top_p": ("1", 1), "top_k": ("40", 40), "min_p": ("0.05", 0.05),
        "seed": ("-9223372036854775808", -(2**63)), "max_tokens": ("20", 20), "max_completion_tokens": ("20", 20),
        "frequency_penalty": ("-0.5", -0.5), "presence_penalty": ("2", 2), "repetition_penalty": ("1.1", 1.1),
        "response_format": ('{"type": "text"}', {"type": "text"}), "tier": ("turbo", "turbo"), "n": ("2", 2),
        "top_logprobs": ("3", 3), "logit_bias": ('{"5": -100}', {"5": -100}),
        "tools": ("[]", []), "tool_choice": ('"none"', "none"),
        "chat_template_kwargs": ('{"think": false}', {"think": False}),
    }  # fmt: skip
    flags = {"logprobs": True, "parallel_tool_calls": False}
    lists = {"stop": ["END", '["x"]']}
    own = {"stream", "stream_options"}
    served = {parameter.name for parameter in PARAMETERS if parameter.served}
    assert set(given) | set(flags) | set(lists) == served - own - {"trace"}
    server.reply_with(*text_stream("a"))
    arguments = [f"--{name.replace('_', '-')}={sent}" for name, (sent, _) in given.items()]
    arguments += ["--logprobs", "--no-parallel-tool-calls", "--stop", "END", "--stop", '["x"]']
    assert one_shot(oruel, server, "x", *arguments).returncode == 0
    expected = {name: value for name, (_, value) in given.items()} | flags | lists
    sent = server.requests[0]
    assert {name: sent[name] for name in expected} == expected
    assert set(sent) - set(expected) == {"model", "messages", *own}


@pytest.mark.parametrize("value", ["hot", "NaN", "Infinity", "0x1"])
def test_an_invalid_number_is_sent_for_the_server_to_refuse(oruel: CommandLine, server: ChatServer, value: str) -> None:
    refusal = {"error": {"message": f'temperature must be a number, but is "{value}".', "type": "x"}}
    server.replies.append(json_reply(refusal, 400))
    done = one_shot(oruel, server, "x", "--temperature", value)
    assert server.requests[0]["temperature"] == value
    assert (done.returncode, done.stdout) == (1, b"")
    assert f'answered 400: temperature must be a number, but is "{value}".' in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_text_survives_heartbeats_and_split_writes(oruel: CommandLine, server: ChatServer) -> None:
    stream = b": waiting\n\n: waiting\n\n" + b"".join([chunk("Grü"), b":\n\n", chunk("ße 🎈"), chunk("\n")])
    server.reply_with(*(bytes([byte]) for byte in stream), chunk(finish="stop"), DONE)
    assert one_shot(oruel, server, "x").stdout.decode() == "Grüße 🎈\n\n"


def test_an_error_in_the_stream_is_shown_after_the_partial_text(oruel: CommandLine, server: ChatServer) -> None:
    server.reply_with(chunk("Half"), event({"error": {"message": "The engine died.", "code": "engine_failed"}}), DONE)
    done = one_shot(oruel, server, "x")
    assert (done.returncode, done.stdout) == (1, b"Half\n")
    assert done.stderr == b"oruel: The engine died.\n"


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply([chunk("Half")]), "closed before the answer was complete"),
        (Reply([b"data: {nonsense\n\n"]), "sent an invalid response"),
        (Reply([b'data: {"choices": 7}\n\n']), "sent an invalid response"),
        (Reply([b"data: \xff\n\n"]), "sent an invalid response"),
        (json_reply({"choices": []}), "did not answer with an event stream"),
        (Reply([b"<html>Bad gateway"], 502, {}), "answered 502: <html>Bad gateway"),
        (json_reply({"error": "busy"}, 503), "answered 503: busy"),
        (json_reply([], 500), "answered 500: []"),
        (Reply([], 301, {"Location": "/elsewhere"}), "answered 301: an empty body"),
    ],
)
def test_an_invalid_answer_is_reported_in_one_line_with_status_1(
    oruel: CommandLine, server: ChatServer, reply: Reply, message: str
) -> None:
    server.replies.append(reply)
    done = one_shot(oruel, server, "x")
    assert done.returncode == 1
    assert message in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1


def test_an_unreachable_server_is_reported_with_what_to_do(oruel: CommandLine, server: ChatServer) -> None:
    done = oruel.call("chat", "x", "--base-url", "http://127.0.0.1:1/v1")
    assert done.returncode == 1
    assert b"can't be reached" in done.stderr
    assert b"Start a server with `oruel serve`" in done.stderr
    assert oruel.call("chat", "x", "--base-url", "nowhere").returncode == 1


def test_the_key_is_sent_and_never_shown(oruel: CommandLine, server: ChatServer) -> None:
    server.replies.append(json_reply({"error": {"message": "No."}}, 401))
    done = oruel.call("chat", "x", "--base-url", server.base_url, "--model", "m", ORUEL_API_KEY=KEY)
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert KEY.encode() not in done.stdout + done.stderr
    broken = oruel.call("chat", "x", "--base-url", server.base_url, ORUEL_API_KEY=f"{KEY}\n")
    assert (broken.returncode, broken.stdout) == (1, b"")
    assert KEY.encode() not in broken.stderr
    assert b"--api-key must be 1 to 512 printable ASCII characters" in broken.stderr
    assert KEY.encode() not in oruel.call("chat", "--help", ORUEL_API_KEY=KEY).stdout


def test_all_choices_and_log_probabilities_are_shown(oruel: CommandLine, server: ChatServer) -> None:
    leading = {"token": "Yes", "logprob": -0.25, "bytes": [89], "top_logprobs": [{"token": "No", "logprob": -1.5}]}
    first = {"index": 0, "delta": {"content": "Yes"}, "logprobs": {"content": [leading]}}
    server.reply_with(
        event({"choices": [first]}),
        chunk("Per", choice=1),
        chunk("haps", finish="length", choice=1),
        chunk(finish="stop"),
        DONE,
    )
    done = one_shot(oruel, server, "x", "--n", "2", "--logprobs")
    assert done.stdout == b"Yes\nPerhaps\n"
    assert "'Yes'                  -0.250  'No' -1.500" in done.stderr.decode()
    assert "stop, length" in done.stderr.decode()


def test_ignored_parameters_are_shown(oruel: CommandLine, server: ChatServer) -> None:
    headers = {"Content-Type": "text/event-stream; charset=utf-8", "x-oruel-ignored": "mirostat"}
    server.replies.append(Reply(text_stream("a"), headers=headers))
    assert "ignored by the server: mirostat" in one_shot(oruel, server, "x").stderr.decode()


def test_turns_are_remembered_until_reset(oruel: CommandLine, server: ChatServer) -> None:
    for word in ("one", "two", "three"):
        server.reply_with(*text_stream(word))
    with terminal(oruel, server, "--system", "S") as chat:
        chat.read_until("> ")
        chat.type("first")
        chat.read_until("one")
        chat.read_until("> ")
        chat.type("second")
        chat.read_until("two")
        chat.read_until("> ")
        chat.type("/reset")
        chat.read_until("cleared")
        chat.read_until("> ")
        chat.type("third")
        chat.read_until("three")
        chat.read_until("> ")
        chat.type("/exit")
        assert chat.program.wait(60) == 0
    contents = [[message["content"] for message in request["messages"]] for request in server.requests]
    assert contents == [["S", "first"], ["S", "first", "one", "second"], ["S", "third"]]


def test_parameters_can_be_set_listed_and_unset(oruel: CommandLine, server: ChatServer) -> None:
    for _ in range(2):
        server.reply_with(*text_stream("ok."))
    with terminal(oruel, server) as chat:
        for line, shown in [
            ("/set temperature 0", "temperature is 0"),
            ('/set stop ["\\n\\n"]', "stop is "),
            ("/set top-k 5", "top_k is 5"),
            ("/set mirostat 2", "mirostat is 2"),
            ("/set messages []", "can't change messages"),
            ("/set model other", "model is other"),
            ("/params", "mirostat"),
            ("/nonsense", "Unknown command /nonsense"),
            ("hello", "ok."),
            ("/set stop", "stop is no longer sent"),
            ("hello", "ok."),
        ]:
            chat.read_until("> ")
            chat.type(line)
            chat.read_until(shown)
        chat.read_until("> ")
        chat.control_d()
        assert chat.program.wait(60) == 0
    first, second = server.requests
    assert (first["temperature"], first["stop"], first["top_k"], first["mirostat"]) == (0, ["\n\n"], 5, 2)
    assert first["model"] == second["model"] == "other"
    assert "stop" not in second


def endless() -> Iterator[bytes]:
    for number in itertools.count():
        yield chunk(f"word{number} ")
        time.sleep(0.01)


def test_ctrl_c_stops_the_answer_but_not_the_chat(oruel: CommandLine, server: ChatServer) -> None:
    server.replies.append(Reply(endless()))
    server.reply_with(*text_stream("Still here."))
    with terminal(oruel, server) as chat:
        chat.read_until("> ")
        chat.type("talk")
        chat.read_until("word3")
        chat.program.send_signal(signal.SIGINT)
        chat.read_until("interrupted")
        assert server.gone.wait(60)
        chat.read_until("> ")
        chat.type("hello?")
        chat.read_until("Still here.")
        chat.read_until("> ")
        chat.interrupt_until("> ")
        chat.type("/exit")
        assert chat.program.wait(60) == 0
    remembered = server.requests[1]["messages"]
    assert [message["role"] for message in remembered] == ["user", "assistant", "user"]
    assert remembered[1]["content"].startswith("word0 word1 ")


def test_an_error_ends_only_its_turn(oruel: CommandLine, server: ChatServer) -> None:
    server.replies.append(json_reply({"error": {"message": "Too long."}}, 400))
    server.reply_with(*text_stream("Better."))
    with terminal(oruel, server) as chat:
        chat.read_until("> ")
        chat.type("first")
        chat.read_until("Too long.")
        chat.read_until("> ")
        chat.type("second")
        chat.read_until("Better.")
        chat.read_until("> ")
        chat.control_d()
        assert chat.program.wait(60) == 0
    assert [message["content"] for message in server.requests[1]["messages"]] == ["second"]


def test_control_characters_never_reach_the_terminal(oruel: CommandLine, server: ChatServer) -> None:
    thought = event({"choices": [{"index": 0, "delta": {"reasoning_content": "hm \x1b]0;t\x07"}}]})
    server.reply_with(thought, chunk("a\x1b[2Jb\x9b"), *text_stream("c"))
    with terminal(oruel, server) as chat:
        chat.read_until("> ")
        chat.type("x")
        shown = chat.read_until("tokens")
    assert "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}c" in shown
    assert "\x1b]0;t" not in shown


def test_a_pipe_gets_the_unmodified_text_and_no_reasoning(oruel: CommandLine, server: ChatServer) -> None:
    thought = event({"choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]})
    server.reply_with(thought, chunk("a\x1b[2J"), chunk(finish="stop"), usage(1, 1), DONE)
    assert one_shot(oruel, server, "x").stdout == b"a\x1b[2J\n"
