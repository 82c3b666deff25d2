"""A browser, and one server for all browser tests. Without Chromium the tests are skipped, and fail if CI is set."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.server import RunningServer, oruel_serve
from tests.web.chromium import chromium, find_chromium
from tests.web.playground import Playground
from tests.web.visit import Visit, visit

NO_CHROMIUM = "Chromium isn't installed (Debian: apt-get install chromium)"

StartVisit = Callable[..., Visit]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    path = find_chromium()
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(NO_CHROMIUM)
    return path


# One for each module: it has to end before the tests of other folders, which use asyncio.run().
@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    with chromium(chromium_path) as started:
        yield started


@pytest.fixture(scope="session")
def server(chromium_path: str) -> Iterator[RunningServer]:
    with oruel_serve() as running:
        yield running


@pytest.fixture
def start_visit(browser: Browser) -> Iterator[StartVisit]:
    """Starts visits to an origin. A test whose visits have unexpected problems fails."""
    visits = []
    with ExitStack() as stack:

        def start(origin: str, **options: Any) -> Visit:
            visits.append(stack.enter_context(visit(browser, origin, **options)))
            return visits[-1]

        yield start
        for started in visits:
            started.check()


@pytest.fixture
def playground(server: RunningServer, start_visit: StartVisit) -> Playground:
    """The page of the running server, not loaded yet."""
    return Playground(start_visit(server.url))
