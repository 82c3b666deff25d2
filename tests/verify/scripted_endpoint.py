"""A loopback server that answers each request with scripted bytes, valid or not, and closes the connection."""

import json
import os
import socketserver
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

Part = bytes | None
"""Bytes are sent, None resets the connection."""
Script = Callable[["Request"], Iterable[Part]]

MODEL = "scripted"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value


@dataclass
class ScriptedEndpoint:
    """`script` answers the requests that `requests` records."""

    script: Script
    port: int = 0
    requests: list[Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def chats(self) -> list[dict[str, Any]]:
        return [request.json for request in self.requests if request.path.endswith("/chat/completions")]


def respond(status: int, body: object, kind: str = "application/json", **headers: str) -> list[Part]:
    """A complete response. Bytes and strings are sent as they are, anything else as JSON."""
    content = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    return [head(status, kind, **headers, content_length=str(len(content))) + content]


def head(status: int, kind: str = "application/json", **headers: str) -> bytes:
    fields = {"content-type": kind, "connection": "close", **{k.replace("_", "-"): v for k, v in headers.items()}}
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def completion(text: str = "Hi", **usage: int) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    counts = {"prompt_tokens": 8, "completion_tokens": 2, "total_tokens": 10} | usage
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": counts}


def models(request: Request) -> list[Part] | None:
    """The answer to GET /models."""
    return respond(200, {"data": [{"id": MODEL}]}) if request.method == "GET" else None


def always(status: int, body: object, kind: str = "application/json", **headers: str) -> Script:
    """Lists the model, and answers everything else in the same way."""
    return lambda request: models(request) or respond(status, body, kind, **headers)


honest = always(200, completion())


@contextmanager
def scripted_endpoint(script: Script = honest) -> Iterator[ScriptedEndpoint]:
    endpoint = ScriptedEndpoint(script)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            request = read_request(self.rfile)
            endpoint.requests.append(request)
            try:
                for part in endpoint.script(request):
                    if part is None:
                        self.request.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
                        os.close(self.request.detach())
                        return
                    self.wfile.write(part)
            except OSError:
                pass

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        endpoint.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield endpoint
        finally:
            server.shutdown()
            thread.join()


def read_request(file: Any) -> Request:
    method, path, _ = file.readline().decode().split()
    headers = {}
    while line := file.readline().decode().strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Request(method, path, headers, file.read(int(headers.get("content-length", 0))))
