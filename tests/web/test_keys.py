"""A server with a key: the page asks for it, sends it, and keeps it only if the person says so."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from tests.server import RunningServer, oruel_serve
from tests.web.conftest import StartVisit
from tests.web.playground import STORY, Playground

pytestmark = pytest.mark.model

KEY = "a-secret-key"

# Everything that a page of this origin can read back later.
READ_STORAGE = """async () => {
  const kept = [{...localStorage}, {...sessionStorage}, document.cookie, location.href, history.state];
  for (const {name} of await indexedDB.databases()) {
    const database = await new Promise((resolve) => {
      indexedDB.open(name).onsuccess = ({target}) => resolve(target.result);
    });
    for (const store of database.objectStoreNames) {
      kept.push(await new Promise((resolve) => {
        database.transaction(store).objectStore(store).getAll().onsuccess = ({target}) => resolve(target.result);
      }));
    }
    database.close();
  }
  return JSON.stringify(kept);
}"""


@pytest.fixture(scope="module")
def locked(chromium_path: str) -> Iterator[RunningServer]:
    with oruel_serve(environment={"ORUEL_API_KEY": KEY}) as running:
        yield running


@pytest.fixture
def playground(locked: RunningServer, start_visit: StartVisit) -> Playground:
    visit = start_visit(locked.url)
    visit.expect_problem("status of 401")
    visit.page.goto(f"{locked.url}/#seed=7&max_tokens=5")
    return Playground(visit)


def dialog(playground: Playground) -> Locator:
    return playground.page.get_by_role("dialog", name="API key")


def give(playground: Playground, key: str, *, keep: bool = False) -> None:
    dialog(playground).get_by_label("API key", exact=True).last.fill(key)
    dialog(playground).get_by_role("checkbox").set_checked(keep)
    dialog(playground).get_by_role("button", name="Use this key").click()


def test_the_page_asks_for_the_key_and_sends_it(playground: Playground) -> None:
    give(playground, KEY)
    playground.wait_until_ready()
    answer = playground.ask(STORY)
    assert playground.text(answer)
    assert playground.visit.requests[-1].headers["authorization"] == f"Bearer {KEY}"


def test_a_wrong_key_is_an_error_in_words(playground: Playground) -> None:
    give(playground, "wrong")
    expect(dialog(playground)).to_contain_text("key")
    give(playground, KEY)
    playground.wait_until_ready()


def test_without_a_tick_the_key_is_stored_nowhere(playground: Playground) -> None:
    give(playground, KEY)
    playground.wait_until_ready()
    playground.ask(STORY)
    assert STORY in playground.page.evaluate(READ_STORAGE), "the conversation isn't stored"
    assert KEY not in playground.page.evaluate(READ_STORAGE)
    playground.page.reload()
    expect(dialog(playground)).to_be_visible()


def test_with_a_tick_the_key_lasts_until_the_tab_is_closed(playground: Playground) -> None:
    give(playground, KEY, keep=True)
    playground.wait_until_ready()
    playground.page.reload()
    playground.wait_until_ready()
    assert playground.text(playground.ask(STORY))
    assert KEY not in playground.page.evaluate("() => JSON.stringify({...localStorage})")
    another = playground.visit.context.new_page()
    another.goto(playground.visit.origin)
    expect(another.get_by_role("dialog", name="API key")).to_be_visible()


def test_neither_the_address_nor_the_code_contains_the_key(playground: Playground) -> None:
    give(playground, KEY, keep=True)
    playground.wait_until_ready()
    playground.ask(STORY)
    playground.parameters.get_by_role("tab", name="Code").click()
    code = playground.parameters.get_by_label("The request as code")
    expect(code).to_contain_text("ORUEL_API_KEY")
    assert KEY not in code.inner_text() + playground.page.url
