"""What a server may answer that no client should believe, as scripts of tests.stub_server."""

from tests.stub_server import DONE, HEAD, Part, chunk, event

CHUNKED = HEAD.replace(b"connection: close", b"transfer-encoding: chunked")

HOSTILE: dict[str, list[Part]] = {
    "an event that nests 100,000 deep": [HEAD, b'data: {"choices": ' + b"[" * 100_000 + b"\n\n"],
    "a header that is no text": [HEAD.replace(b"\r\n\r\n", b"\r\nx-oruel-differs: evil\xff\r\n\r\n"), chunk("a"), DONE],
    "an error of lone surrogates": [b'HTTP/1.1 500 X\r\n\r\n{"error": {"message": "\\ud800"}}'],
    "a status line of noise": [b"\xff\xfe HTTP/9 ?\r\n\r\n"],
    "a header line without an end": [HEAD[:-2] + b"x: " + b"y" * 10**6],
    "a header without a name": [HEAD.replace(b"\r\n\r\n", b"\r\n: y\r\n\r\n")],
    "a chunk size that is no number": [HEAD.replace(b"connection: close", b"transfer-encoding: chunked"), b"zz\r\n"],
    "a compressed stream": [HEAD.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n"), b"\x1f\x8b" * 50],
    "a redirect to itself": [b"HTTP/1.1 302 X\r\nlocation: /\r\ncontent-length: 0\r\n\r\n"],
    "two lengths": [HEAD.replace(b"\r\n\r\n", b"\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"), chunk("a")],
    "a message that nests 900 deep": [b'HTTP/1.1 500 X\r\n\r\n{"message": ' + b"[" * 900 + b"]" * 900 + b"}"],
    "a choice whose number has 4,000 digits": [HEAD, event({"choices": [{"index": 0}]}).replace(b"0", b"9" * 4000)],
    "a chunk of noise after the head": [CHUNKED, 0.05, b"zz\r\n"],
    "many trailers and no answer": [CHUNKED, b"0\r\n" + b"a: b\r\n" * 1000],
}
