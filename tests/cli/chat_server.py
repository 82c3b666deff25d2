"""A small HTTP server on the loopback interface that sends scripted replies, for tests of clients."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """Each of `pieces` is one write. Then the connection closes."""

    pieces: Iterable[bytes]
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/event-stream"})


Route = Callable[[str, str], Reply | None]


@dataclass
class ChatServer:
    """Answers POST with the next of `replies`, GET /v1/models with `models`, and other requests with the result of
    `route`.

    `gone` is set when a client closes its connection before the reply ends.
    """

    url: str = ""
    models: list[str] = field(default_factory=lambda: ["tiny", "other"])
    replies: list[Reply] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)
    route: Route = lambda method, path: None

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def reply_with(self, *pieces: bytes) -> None:
        self.replies.append(Reply(pieces))


def event(data: object) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"


def chunk(content: str | None = None, finish: str | None = None, choice: int = 0, **more: Any) -> bytes:
    delta = {} if content is None else {"content": content}
    choices = [{"index": choice, "delta": delta, "finish_reason": finish}]
    return event({"model": "tiny-1", "tier": "turbo", "choices": choices, **more})


def usage(prompt: int, completion: int) -> bytes:
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return event({"model": "tiny-1", "choices": [], "usage": counts})


DONE = b"data: [DONE]\n\n"


def text_stream(*contents: str) -> list[bytes]:
    return [*map(chunk, contents), chunk(finish="stop"), usage(3, len(contents)), DONE]


def json_reply(body: object, status: int = 200) -> Reply:
    return Reply([json.dumps(body).encode()], status, {"Content-Type": "application/json"})


@contextmanager
def run_chat_server() -> Iterator[ChatServer]:
    state = ChatServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            models = {"object": "list", "data": [{"id": name} for name in state.models]}
            routed = state.route("GET", self.path)
            self._send(routed or (json_reply(models) if self.path == "/v1/models" else json_reply({}, 404)))

        def do_HEAD(self) -> None:
            self._send(state.route("HEAD", self.path) or Reply([], 404))

        def do_POST(self) -> None:
            state.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            state.headers.append({name.lower(): value for name, value in self.headers.items()})
            self._send(state.replies.pop(0))

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for piece in reply.pieces:
                    self.wfile.write(piece)
            except OSError:
                state.gone.set()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
