"""What axe-core finds wrong with a page for people who use a keyboard, a screen reader, or need contrast."""

from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"


@cache
def axe() -> str:
    return AXE.read_text()


def violations(page: Page, *, besides: Collection[str] = ()) -> list[str]:
    """One line for each element that violates a rule other than those named. axe-core runs in a world of its own,
    beside the page's scripts and its content security policy.
    """
    session = page.context.new_cdp_session(page)
    try:
        frame = session.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
        world = session.send("Page.createIsolatedWorld", {"frameId": frame, "worldName": "axe"})
        evaluate = {"contextId": world["executionContextId"], "awaitPromise": True, "returnByValue": True}
        session.send("Runtime.evaluate", {**evaluate, "expression": f"{axe()}; undefined"})
        answer = session.send("Runtime.evaluate", {**evaluate, "expression": "axe.run()"})
    finally:
        session.detach()
    assert "exceptionDetails" not in answer, answer["exceptionDetails"]
    result = answer["result"]["value"]
    assert result["passes"], "axe-core checked nothing"
    broken = [rule for rule in result["violations"] if rule["id"] not in besides]
    return [line(rule, node) for rule in broken for node in rule["nodes"]]


def line(rule: dict[str, Any], node: dict[str, Any]) -> str:
    return f"{rule['id']}: {node['html']}: {node['failureSummary']}".replace("\n", " ")
