"""How long the page's thread was busy with one task, so that it could neither draw nor answer a key."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import Browser, Page


@dataclass
class LongestTask:
    """In milliseconds of the thread's CPU time: a PerformanceObserver's `longtask` would count the time that the server
    and other processes took from it.
    """

    milliseconds: float = 0


@contextmanager
def longest_task(browser: Browser, page: Page) -> Iterator[LongestTask]:
    """The longest task of the page's thread from here to the end of the block, set then."""
    browser.start_tracing(page=page, categories=["disabled-by-default-devtools.timeline"])
    longest = LongestTask()
    try:
        yield longest
    finally:
        events = json.loads(browser.stop_tracing())["traceEvents"]
    threads = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    tasks = [e for e in events if e["name"] == "RunTask" and (e["pid"], e["tid"]) in threads]
    assert tasks, "the trace has no tasks of the page"
    longest.milliseconds = max(task.get("tdur", 0) for task in tasks) / 1000
