"""The playground as a person uses it: everything is found by its role and its name."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Locator, expect

from tests.web.answers import COMPLETIONS
from tests.web.visit import Visit

STORY = "Tell me a story about the sea."


READ_CANDIDATES = """table => [...table.tBodies[0].rows].map(row => {
  const cells = [...row.cells].slice(2);
  return {
    id: Number(row.dataset.id),
    texts: cells.map(cell => cell.innerText.trim()),
    probabilities: cells.map(cell => Number(cell.dataset.probability)),
    widths: cells.map(cell => cell.firstElementChild.getBoundingClientRect().width),
  };
})"""


@dataclass(frozen=True)
class CandidateRow:
    """A row of the inspector's table: what it says, and how long its bars are in pixels, step by step."""

    id: int
    texts: list[str]
    probabilities: list[float]
    widths: list[float]


class Playground:
    """The page in one visit. The address carries prompt, system and parameters, and messages as JSON."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self.page = visit.page
        self.conversation = self.page.get_by_role("region", name="Conversation")
        self.parameters = self.page.get_by_role("complementary", name="Parameters")
        self.prompt = self.conversation.get_by_role("textbox", name="Prompt", exact=True)
        self.answers = self.conversation.get_by_role("article", name="Answer")
        self.tokens = self.page.get_by_role("toolbar", name="Tokens of the reply").get_by_role("button")
        self.inspector = self.page.get_by_role("region", name="How the token was chosen")

    def open(self, **state: Any) -> "Playground":
        """Loads the page with this state in its address, and waits until it can be used."""
        fields = {name: value if isinstance(value, str) else json.dumps(value) for name, value in state.items()}
        self.page.goto(f"{self.visit.origin}/#{urlencode(fields)}")
        self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        welcome = self.conversation.get_by_role("heading", level=2)
        expect(welcome.or_(self.answers).first).to_be_visible()

    def slider(self, name: str) -> Locator:
        return self.parameters.get_by_role("slider", name=name, exact=True)

    def field(self, name: str) -> Locator:
        """The number beside a slider."""
        return self.parameters.get_by_role("textbox", name=name, exact=True)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def send(self, text: str = "") -> None:
        """Sends the text, or what stands in the field, without waiting for the answer."""
        if text:
            self.prompt.fill(text)
        self.conversation.get_by_role("button", name="Send", exact=True).click()

    def ask(self, text: str = "") -> Locator:
        """Sends the text and waits for the end of the answer, which is returned."""
        self.send(text)
        return self.finished()

    def finished(self) -> Locator:
        """The latest answer, once it is complete."""
        answer = self.answers.last
        expect(answer.get_by_role("button", name="Retry")).to_be_visible()
        return answer

    @property
    def last_body(self) -> dict[str, Any]:
        """What the latest request asked for."""
        return dict(self.visit.bodies(COMPLETIONS)[-1])

    @staticmethod
    def text(answer: Locator) -> str:
        """The reply alone, which stands before what is known about it."""
        return answer.locator(":scope > :first-child").inner_text()

    @staticmethod
    def facts(answer: Locator) -> dict[str, str]:
        names = answer.get_by_role("term").all_text_contents()
        values = answer.get_by_role("definition").all_text_contents()
        return dict(zip(names, values, strict=True))

    def open_groups(self) -> None:
        """Opens the groups of parameters that are closed at first."""
        for group in self.parameters.locator("details:not([open]) > summary").all()[::-1]:
            group.click()

    def pick(self, index: int) -> None:
        """Picks a token of the latest reply."""
        self.tokens.nth(index).click()
        expect(self.inspector.get_by_role("heading")).to_contain_text(f"token {index + 1},")

    def candidates(self) -> list[CandidateRow]:
        """Those of the picked token."""
        more = self.inspector.get_by_role("button", name="more candidate")
        if more.is_visible():
            more.click()
        rows = self.inspector.get_by_role("table").evaluate(READ_CANDIDATES)
        return [CandidateRow(**row) for row in rows]

    def choose(self, parameter: str, value: str) -> None:
        """Chooses one of the values that stand side by side."""
        group = self.parameters.get_by_role("radiogroup", name=parameter, exact=True)
        group.get_by_role("radio", name=value, exact=True).check()

    def show_parameters(self) -> None:
        """Opens the sheet that they are on a phone."""
        if not self.parameters.is_visible():
            self.button("Parameters").click()
            expect(self.parameters).to_be_visible()

    def show_tokens(self) -> None:
        """Unfolds them, as a phone shows only their number at first."""
        show = self.button("Show")
        if show.is_visible():
            show.click()
