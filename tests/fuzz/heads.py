"""Encodes requests as HTTP/1.1, and corrupts their headers or the framing of their bodies."""

from collections.abc import Callable
from random import Random

from tests.fuzz.mutations import flip_bytes

LARGE_HEAD = 80_000

ODD_HEADERS: tuple[bytes, ...] = (
    *(b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk", b"Expect: 100-continue"),
    *(
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==",
        b"Expect: x",
    ),
    *(
        b"Connection: close",
        b"Connection: keep-alive, \xff",
        b"X-Request-Id: \xff\xfe",
        b"X-Request-Id: " + b"x" * 5000,
    ),
    *(b"X-Request-Timeout: nan", b"X-Request-Timeout: -1", b"X-Request-Timeout: 0.001", b"X-Request-Timeout: 1e400"),
    *(b"X-Oruel-Hops: 9", b"X-Oruel-Hops: " + b"9" * 5000, b"X-Oruel-Hops: \xb2", b"Host: evil.example", b"Host:"),
    *(b"Authorization: Bearer \xff", b"Authorization:", b"Origin: null", b"Cookie: a=\xff", b"Range: bytes=0-"),
    *(b"Content-Type: text/plain", b"Content-Type: application/json; charset=utf-16", b"Content-Type: \xff"),
    *(b"Content-Encoding: gzip", b"Accept-Encoding: identity;q=0", b"Accept: text/\xff", b"Forwarded: for=\xff"),
    *(b"X: " + b"y" * LARGE_HEAD, b"x: y\r\n" * 300 + b"x: y", b"X:\x00", b"X\x00: y", b" folded: line", b"no colon"),
    *(
        b": no name",
        b"X : space",
        b"X: \r\n folded",
        b"Content-Length: 3",
        b"Content-Length: -1",
        b"Content-Length: +3",
    ),
    *(b"Content-Length: 99999999999999999999", b"Content-Length: 1_0", b"Content-Length: 3, 3", b"Content-Length:"),
    *(
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip",
        b"Transfer-Encoding: chunked, chunked",
        b"TE: trailers",
    ),
    *(b"Transfer-Encoding:\x0bchunked", b"Transfer-Encoding: identity", b"Trailer: Content-Length", b"Max-Forwards: 0"),
)
ODD_LINES: tuple[bytes, ...] = (
    *(b"POST /v1/chat/completions HTTP/1.0", b"POST /v1/chat/completions HTTP/2.0", b"POST /v1/chat/completions"),
    *(
        b"POST /v1/chat/completions HTTP/9.9",
        b"POST  /v1/chat/completions HTTP/1.1",
        b"GET / HTTP/1.1 x",
        b"GET\t/\tHTTP/1.1",
    ),
    *(b"POST /v1/chat/completions?a=\xff HTTP/1.1", b"POST //v1//chat/completions HTTP/1.1", b"POST /%00 HTTP/1.1"),
    *(
        b"POST /v1/models/%2e%2e/%ff HTTP/1.1",
        b"GET /v1/models/" + b"%41" * 20_000 + b" HTTP/1.1",
        b"CONNECT x:1 HTTP/1.1",
    ),
    *(b"GET http://127.0.0.1/health HTTP/1.1", b"GET http://evil.example/health HTTP/1.1", b"OPTIONS * HTTP/1.1"),
    *(
        b"GET /health#x HTTP/1.1",
        b"GET /\xff HTTP/1.1",
        b"GET /" + b"x" * LARGE_HEAD + b" HTTP/1.1",
        b"GET [::1 HTTP/1.1",
    ),
    *(b"", b"\r\n", b"POST", b"post /tokenize HTTP/1.1", b"PO\x00ST / HTTP/1.1", b"X" * 200 + b" / HTTP/1.1"),
)


def frame_request(method: str, path: str, port: int, body: bytes) -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body or method == "POST" else ""
    return head(method, path, port, length) + body


def head(method: str, path: str, port: int, more: str) -> bytes:
    lines = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    return f"{lines}{more}\r\n".encode()


def chunk_request(method: str, path: str, port: int, body: bytes, random: Random) -> bytes:
    size = random.choice((1, 7, 100, len(body) or 1))
    size = max(size, len(body) // 500 or 1)
    chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in parts(body, size)]
    return head(method, path, port, "Transfer-Encoding: chunked\r\n") + b"".join(chunks) + b"0\r\n\r\n"


def parts(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def with_odd_header(request: bytes, random: Random) -> bytes:
    line, end, rest = request.partition(b"\r\n")
    odd = b"".join(random.choice(ODD_HEADERS) + b"\r\n" for _ in range(random.choice((1, 1, 2, 3))))
    return line + end + odd + rest


def with_other_line(request: bytes, random: Random) -> bytes:
    return random.choice(ODD_LINES) + b"\r\n" + request.partition(b"\r\n")[2]


def with_flipped_head(request: bytes, random: Random) -> bytes:
    lines, end, body = request.partition(b"\r\n\r\n")
    return flip_bytes(lines, random) + end + body


def without_a_line(request: bytes, random: Random) -> bytes:
    lines, end, body = request.partition(b"\r\n\r\n")
    kept = lines.split(b"\r\n")
    del kept[random.randrange(len(kept))]
    return b"\r\n".join(kept) + end + body


def with_line_feeds(request: bytes, random: Random) -> bytes:
    return request.replace(b"\r\n", random.choice((b"\n", b"\r", b"\r\r\n", b"\n\r")))


def cut_short(request: bytes, random: Random) -> bytes:
    return request[: random.randrange(len(request))]


HEAD_CHANGES: tuple[Callable[[bytes, Random], bytes], ...] = (
    *(with_odd_header, with_odd_header, with_odd_header, with_other_line, with_flipped_head),
    *(without_a_line, with_line_feeds, cut_short),
)


def break_framing(path: str, port: int, body: bytes, random: Random) -> bytes:
    """A request whose body doesn't match its length or chunk sizes."""
    length = len(body)
    if random.random() < 0.4:
        wrong = random.choice((0, length - 1, length + 1, length * 2, 10**9, 10**18, -length))
        return head("POST", path, port, f"Content-Length: {wrong}\r\n") + body
    if random.random() < 0.2:
        both = f"Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"
        return head("POST", path, port, both) + random.choice((body, b"0\r\n\r\n" + body))
    return break_chunks(chunk_request("POST", path, port, body, random), random)


def break_chunks(request: bytes, random: Random) -> bytes:
    start = request.index(b"\r\n\r\n") + 4
    lines, data = request[:start], request[start:]
    match random.randrange(5):
        case 0:
            data = flip_bytes(data, random)
        case 1:
            size = random.choice((b"ffffffffffffffff", b"-1", b"0x5", b" 5", b"5 ", b"5;" + b"a=b;" * 5000, b"", b"zz"))
            data = size + b"\r\n" + data
        case 2:
            data = (
                data.removesuffix(b"\r\n")
                + random.choice((b"x: y\r\n" * 500, b"Content-Length: 5\r\n", b"\xff\r\n"))
                + b"\r\n"
            )
        case 3:
            data = data[: random.randrange(len(data))]
        case _:
            data = data.replace(b"\r\n", random.choice((b"\n", b"\r")), random.choice((1, 5, -1)))
    return lines + data


def other_protocol(random: Random) -> bytes:
    """The first bytes of other protocols."""
    return random.choice(
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + random.randbytes(500),
            b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\nGET / HTTP/1.1\r\n\r\n",
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"\r\n" * 500,
            b"\x00" * 500,
            b"{}\n",
            random.randbytes(random.choice((1, 30, 5000))),
        )
    )
