"""Photographs the playground into build/screenshots/: `python -m tests.web.screenshots`."""

import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from tests.server import oruel_serve
from tests.web.chromium import chromium, find_chromium
from tests.web.playground import Playground
from tests.web.visit import visit

FOLDER = Path(__file__).parents[2] / "build" / "screenshots"

DESK = {"viewport": {"width": 1440, "height": 1000}, "device_scale_factor": 2}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 3, "is_mobile": True, "has_touch": True}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {**DESK, "color_scheme": "light"},
    "dark": {**DESK, "color_scheme": "dark"},
    "phone": {**PHONE, "color_scheme": "light"},
    "phone-dark": {**PHONE, "color_scheme": "dark"},
}

# Each step removes some candidates, and the picked token had good alternatives.
PROMPT = "Tell me a story about the sea."
SETTINGS = {"temperature": 1.2, "top_k": 40, "min_p": 0.02, "frequency_penalty": 0.4, "seed": 7}
PICKED = 4


def photograph(browser: Browser, origin: str, look: str) -> None:
    """A conversation with a picked token, then the same with a preview of other settings."""
    with visit(browser, origin, **LOOKS[look]) as visited:
        playground = Playground(visited).open(**SETTINGS)
        save(playground, f"{look}-welcome")
        playground.ask(PROMPT)
        playground.show_tokens()
        playground.pick(PICKED)
        save(playground, look)
        if look.startswith("phone"):
            playground.show_parameters()
            save(playground, f"{look}-parameters")
        else:
            playground.field("temperature").fill("0.6")
            save(playground, f"{look}-preview")
        visited.check()


def save(playground: Playground, name: str) -> None:
    path = FOLDER / f"{name}.png"
    playground.page.mouse.move(0, 0)  # so that nothing is shown as pointed at
    playground.page.screenshot(path=path, caret="hide")
    print(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def main() -> None:
    path = find_chromium()
    if path is None:
        sys.exit("Chromium isn't installed (Debian: apt-get install chromium)")
    with oruel_serve() as server, chromium(path) as browser:
        for look in LOOKS:
            photograph(browser, server.url, look)


if __name__ == "__main__":
    main()
