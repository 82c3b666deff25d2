"""A visit to one origin in a fresh browser context, with its own storage, which records what went wrong in it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect

# Playwright's own limits are 30 s for actions, and 5 s, which a busy machine may take, for expectations.
WAIT_MILLISECONDS = 10_000
POLL_MILLISECONDS = 10
POLLS = 200

expect.set_options(timeout=WAIT_MILLISECONDS)


@dataclass
class Visit:
    """`problems` are uncaught exceptions, the console's errors and warnings (violations of the content security policy
    are among them), and requests to other origins. `requests` are those to this one.
    """

    origin: str
    context: BrowserContext
    page: Page
    problems: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.problems.append(f"exception: {error.stack or error.message}"))
        page.on("request", self._on_request)
        page.on("websocket", lambda socket: self.problems.append(f"WebSocket: {socket.url}"))
        page.on("crash", lambda _: self.problems.append("the page crashed"))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self.problems.append(f"console {message.type}: {message.text} ({message.location['url']})")

    def _on_request(self, request: Request) -> None:
        if request.url.startswith(f"{self.origin}/"):
            self.requests.append(request)
        elif not request.url.startswith(("data:", "blob:")):
            self.problems.append(f"request to another origin: {request.method} {request.url}")

    def expect_problem(self, pattern: str) -> None:
        """This test provokes a problem that `pattern` matches."""
        self.expected.append(pattern)

    def bodies(self, path: str) -> list[Any]:
        """The JSON bodies of the requests to this path, oldest first."""
        return [request.post_data_json for request in self.requests if request.url == f"{self.origin}{path}"]

    def check(self) -> None:
        """Fails if there were unexpected problems, or an expected one doesn't come."""
        for _ in range(POLLS):
            self.page.wait_for_timeout(POLL_MILLISECONDS)
            missing = [pattern for pattern in self.expected if not any(re.search(pattern, p) for p in self.problems)]
            if not missing:
                break
        unexpected = [p for p in self.problems if not any(re.search(pattern, p) for pattern in self.expected)]
        assert not unexpected, "\n".join(unexpected)
        assert not missing, f"no problem matched {missing}"


@contextmanager
def visit(browser: Browser, origin: str, **options: Any) -> Iterator[Visit]:
    """`options` are those of Browser.new_context(). Call check() at the end."""
    # Bars that still grow can't be measured.
    context = browser.new_context(**{"reduced_motion": "reduce", **options})
    context.set_default_timeout(WAIT_MILLISECONDS)
    try:
        visit = Visit(origin, context, context.new_page())
        visit.watch(visit.page)
        context.on("page", visit.watch)
        yield visit
    finally:
        context.close()
