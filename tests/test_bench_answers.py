"""How the benchmark reads a server's answer to a schema."""

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from bench.load import Reply
from bench.schema_answers import Answer, Outcome, RawAnswer, ask
from bench.schema_kinds import Sample
from bench.schemas import Record, compared, described
from bench.servers import free_port

SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "array", "uniqueItems": True}, "b": {"type": "string", "pattern": "^(?!x)"}},
    "not": {"required": ["b"]},
}
SAMPLE = Sample("sample", SCHEMA, {})


def chunked(parts: Sequence[bytes]) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])


def stream(*texts: str, headers: str = "", error: dict[str, Any] | None = None, end: str = "data: [DONE]") -> bytes:
    events: list[dict[str, Any]] = [{"choices": [{"delta": {"content": text}}]} for text in texts]
    events += [{"error": error}] if error else []
    events.append({"choices": [], "usage": {"completion_tokens": len(texts)}})
    lines = [*(f"data: {json.dumps(event)}" for event in events), end]
    head = f"HTTP/1.1 200 OK\r\n{headers}Transfer-Encoding: chunked\r\n\r\n"
    return head.encode() + chunked([f"{line}\n\n".encode() for line in lines])


def refusal(message: str, status: int = 400) -> bytes:
    body = json.dumps({"error": {"message": message}})
    return f"HTTP/1.1 {status} Bad\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


@contextmanager
def answering(data: bytes) -> Iterator[int]:
    """A server that answers one request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                request = b""
                while not request.endswith(b"}"):
                    request += connection.recv(2**16)
                connection.sendall(data)

        thread = threading.Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def answer_to(data: bytes) -> Answer:
    with answering(data) as port:
        return ask(port, SAMPLE, "bench")


def test_a_valid_document_is_put_together_from_its_events() -> None:
    answer = answer_to(stream('{"a"', ": [1,", " 2]}"))
    assert answer.outcome is Outcome.VALID
    assert answer.reply
    assert answer.reply.tokens == 3


@pytest.mark.parametrize(
    ("header", "outcome"),
    [
        ("", Outcome.SILENT),
        ("x-oruel-differs: response_format.json_schema.schema: not pattern\r\n", Outcome.SILENT),
        ("x-oruel-differs: response_format.json_schema.schema: not uniqueItems\r\n", Outcome.NAMED),
    ],
)
def test_a_wrong_document_is_wrong_in_silence_unless_the_keyword_is_named(header: str, outcome: Outcome) -> None:
    answer = answer_to(stream('{"a": [1, 1]}', headers=header))
    assert answer.outcome is outcome
    assert answer.detail == "properties/uniqueItems"


def test_a_document_that_ends_in_the_middle_is_not_json() -> None:
    assert answer_to(stream('{"a": [1, ')).outcome is Outcome.UNCLOSED


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (refusal("look-around in pattern is not supported"), Outcome.REFUSED),
        (refusal("uniqueItems can't be enforced"), Outcome.REFUSED),
        (refusal("failed to parse grammar"), Outcome.ERROR),
        (refusal("pattern", status=500), Outcome.ERROR),
        (stream("{", error={"message": "pattern"}), Outcome.ERROR),
        (stream('{"a": []}', end=""), Outcome.ERROR),
        (b"", Outcome.ERROR),
    ],
)
def test_a_refusal_counts_only_if_it_says_what_is_refused(data: bytes, outcome: Outcome) -> None:
    assert answer_to(data).outcome is outcome


def test_a_server_that_is_gone_is_an_error_after_which_it_is_started_again() -> None:
    answer = ask(free_port(), SAMPLE, "bench")
    assert (answer.outcome, answer.is_alive) == (Outcome.ERROR, False)


def test_headers_are_read_in_any_case() -> None:
    raw = RawAnswer.parse(
        b"HTTP/1.1 200 OK\r\nX-Oruel-Differs: a\r\nTRANSFER-ENCODING: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    )
    assert (raw.status, raw.headers["x-oruel-differs"], raw.body) == (200, "a", b"abc")


def reply(tokens: int, first: float, token: float) -> Reply:
    return Reply(tokens, [first + place * token for place in range(tokens)], 0.0)


def test_a_record_says_what_a_schema_costs_beyond_free_text() -> None:
    answers = [Answer(Outcome.VALID, "", reply(101, 0.5, 0.003)), Answer(Outcome.REFUSED, "400 pattern")]
    lines = list(described(Record("server", [reply(9, 0.2, 0.001)], answers), [SAMPLE, SAMPLE]))
    assert lines[0].startswith("  server: 1 valid, 0 wrong in silence, ")
    assert "300.0 (median; most 300.0) ms longer" in lines[1]
    assert "2.00 (median; most 2.00) ms longer than the 1.00 ms" in lines[2]
    assert lines[3:] == ["    refused by name:", "    sample: 400 pattern"]


def test_only_schemas_of_which_both_wrote_enough_are_compared() -> None:
    long, short = Answer(Outcome.VALID, "", reply(100, 0.1, 0.002)), Answer(Outcome.VALID, "", reply(5, 0.1, 0.1))
    refused = Answer(Outcome.REFUSED)
    ours, theirs = [long, long, long], [refused, short, Answer(Outcome.UNCLOSED, "", reply(700, 0.2, 0.006))]
    valid, first, token = compared(Record("ours", [], ours), Record("theirs", [], theirs))
    assert (valid.ours, valid.theirs) == ([3], [1])
    assert first.times_better.median == pytest.approx(2)
    assert token.times_better.median == pytest.approx(3)
