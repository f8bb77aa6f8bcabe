"""What leads do in a browser: settle what was left to them, and decide many cases at once and take it back."""

from typing import Any

import pytest
from sqlalchemy import select

from app.workspace import Workspace
from db.tables import Outcome
from review_queue import people, preferences
from review_queue.activity import Actor
from review_queue.preferences import Preferences
from tests import factories
from tests.browser import filling
from tests.browser.conftest import Desk, Start
from tests.browser.test_review import TITLE, decisions, settled

pytestmark = pytest.mark.browser
PASSWORD = "a long password"


def enter(page: Any, desk: Desk, name: str, where: str) -> None:
    """Sign in, and go to a page of the project."""
    page.context.clear_cookies()
    page.goto(f"{desk.url}/{where}")
    page.fill("#name", name)
    page.fill("#password", PASSWORD)
    page.click("button")
    page.wait_for_selector(".so-title")
    settled(page)


def said(page: Any, words: str) -> None:
    page.wait_for_function("words => document.querySelector('.so-line')?.innerText.includes(words)", arg=words)
    settled(page)


def test_a_case_is_left_to_leads_and_settled_by_one(desk: Start, page: Any) -> None:
    def fill(workspace: Workspace) -> None:
        filling.table(workspace, 4, False, automate={"at_least": "off"})
        for name, role in (("ann", "reviewer"), ("lea", "lead")):
            account = workspace.database.write(people.add_person, name, role=role, password=PASSWORD)
            workspace.database.write(preferences.choose, Actor(account.id, name, role, "desk"), Preferences("page"))

    held = desk(fill)
    enter(page, held, "ann", "?project=claims")
    page.wait_for_selector('[class*="st-key-undo-"] button')
    settled(page)
    left = page.inner_text(TITLE)
    page.keyboard.press("e")
    page.wait_for_function("() => document.activeElement?.tagName === 'INPUT'")
    page.keyboard.type("the <b>date</b> is odd")
    page.keyboard.press("Enter")
    page.wait_for_function("before => document.querySelector('.so-title bdi')?.textContent !== before", arg=left)
    page.goto(f"{held.url}/queue?project=claims")
    page.wait_for_selector(".so-queue")
    assert "Disputes" not in page.inner_text("body")
    assert not page.query_selector("text=Decide all of these at once")
    enter(page, held, "lea", "queue?project=claims&state=escalated")
    page.wait_for_selector(".so-words")
    assert left in page.inner_text('[class*="st-key-queue-row-open-"]')
    assert "ann" in page.inner_text(".so-words")
    assert "the <b>date</b> is odd" in page.inner_text(".so-words")
    page.goto(f"{held.url}/?project=claims")
    page.wait_for_selector(TITLE)
    assert page.inner_text(TITLE) == left
    page.wait_for_selector('[class*="st-key-undo-"] button')
    settled(page)
    page.keyboard.press("a")
    page.wait_for_function("before => document.querySelector('.so-title bdi')?.textContent !== before", arg=left)
    assert [row.verdict for row in decisions(held)] == ["escalate", "accept"]
    (task,) = factories.tasks(held.workspace.database, state="completed")
    assert (task.audience, decisions(held)[-1].task_id) == ("leads", task.id)


def test_many_are_decided_at_once_and_taken_back(desk: Start, page: Any) -> None:
    held = desk(lambda workspace: filling.table(workspace, 30, False, automate={"at_least": "off"}, audit={"rate": 0.3}))
    database = held.workspace.database
    blind = {task.item_id for task in factories.tasks(database, blind=True)}
    page.goto(f"{held.url}/queue?project=claims&label=pay&label=deny")
    page.wait_for_selector('[class*="st-key-queue-row-open-"]')
    settled(page)
    page.click("text=Decide all of these at once")
    page.click("text=Accept what is predicted")
    page.click("text=Count them")
    page.wait_for_selector(".so-counted")
    settled(page)
    count = int(page.inner_text(".so-counted b").split()[0])
    assert 0 < count < 30
    page.click(".st-key-queue-many-do button")
    said(page, f"Decided: {count} claims")
    bulk = decisions(held)
    assert (len(bulk), {row.basis for row in bulk}) == (count, {"bulk"})
    assert not blind & {row.item_id for row in bulk}
    page.reload()
    page.click('[class*="st-key-queue-act-undo-"] button')
    said(page, f"Taken back: {count} claims")
    assert database.read(lambda session: session.scalars(select(Outcome.item_id)).all()) == []
    assert len(factories.tasks(database, state="pending")) == 30
    assert "taken back" in page.inner_text('[class*="st-key-queue-row-act-"]')
    assert "label=pay" in page.url
