"""Malformed and malicious upstream responses, as scripts for tests.stub_server."""

from tests.stub_server import DONE, HEAD, Part, chunk, event

CHUNKED = HEAD.replace(b"connection: close", b"transfer-encoding: chunked")

HOSTILE: dict[str, list[Part]] = {
    "an event nested 100,000 levels deep": [HEAD, b'data: {"choices": ' + b"[" * 100_000 + b"\n\n"],
    "a header that is not valid text": [
        HEAD.replace(b"\r\n\r\n", b"\r\nx-oruel-differs: evil\xff\r\n\r\n"),
        chunk("a"),
        DONE,
    ],
    "an error message with a lone surrogate": [b'HTTP/1.1 500 X\r\n\r\n{"error": {"message": "\\ud800"}}'],
    "a random status line": [b"\xff\xfe HTTP/9 ?\r\n\r\n"],
    "an endless header line": [HEAD[:-2] + b"x: " + b"y" * 10**6],
    "a header without a name": [HEAD.replace(b"\r\n\r\n", b"\r\n: y\r\n\r\n")],
    "a chunk size that is not a number": [HEAD.replace(b"connection: close", b"transfer-encoding: chunked"), b"zz\r\n"],
    "a compressed stream": [HEAD.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n"), b"\x1f\x8b" * 50],
    "a redirect to itself": [b"HTTP/1.1 302 X\r\nlocation: /\r\ncontent-length: 0\r\n\r\n"],
    "two content lengths": [
        HEAD.replace(b"\r\n\r\n", b"\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"),
        chunk("a"),
    ],
    "an error message nested 900 levels deep": [b'HTTP/1.1 500 X\r\n\r\n{"message": ' + b"[" * 900 + b"]" * 900 + b"}"],
    "a choice index of 4,000 digits": [HEAD, event({"choices": [{"index": 0}]}).replace(b"0", b"9" * 4000)],
    "an invalid chunk after the headers": [CHUNKED, 0.05, b"zz\r\n"],
    "many trailers and no answer": [CHUNKED, b"0\r\n" + b"a: b\r\n" * 1000],
}
