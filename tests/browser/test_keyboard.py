"""A whole working session by keyboard alone: in, decide, lead, another key, out. No mouse is moved and nothing is clicked."""

from typing import Any

import pytest
from sqlalchemy import select

from app.workspace import Workspace
from db.tables import ItemKey, Person, Task
from review_queue import people, preferences
from tests import factories
from tests.browser.conftest import Desk, Seen, Start
from tests.browser.test_deck import TITLE, many_labels, press, said, sent
from tests.browser.test_review import decisions

pytestmark = pytest.mark.browser
PASSWORD = "a long password"
HERE = """() => {
  const at = document.activeElement, seen = getComputedStyle(at), name = at.getAttribute("aria-label") ?? at.innerText ?? at.id;
  return [at.tagName, name.replace(/\\s+/g, " ").trim(), at.matches("a, button, input, summary") ? seen.outlineStyle : "solid"];
}"""
"""Where the focus is: the element, its name, and whether it is drawn."""


def fill(workspace: Workspace) -> None:
    many_labels(workspace, 16)
    for name, role in (("lea", "lead"), ("ray", "reviewer")):
        workspace.database.write(people.add_person, name, role=role, password=PASSWORD)


def tab(page: Any, tag: str, name: str, key: str = "Tab", most: int = 60) -> None:
    """Go on by Tab until the focus, which is seen all the way, is on what begins so."""
    for _ in range(most):
        page.keyboard.press(key)
        at, said_, outline = page.evaluate(HERE)
        assert outline != "none", f"the focus on {at} {said_!r} is not drawn"
        if at == tag and said_.startswith(name):
            return
    raise AssertionError(f"Tab does not come to {tag} {name!r}")


def person(held: Desk, name: str) -> int:
    return held.workspace.database.read(lambda session: session.scalars(select(Person.id).filter_by(name=name)).one())


def waiting(held: Desk) -> str:
    """The last case that nobody holds."""
    query = (
        select(ItemKey.name).join(Task, Task.item_id == ItemKey.item_id).where(Task.state == "pending").order_by(Task.rank.desc())
    )
    return held.workspace.database.read(lambda session: session.scalars(query.limit(1)).one())


def settled(page: Any) -> None:
    """Until Streamlit has drawn the page."""
    page.wait_for_timeout(200)
    page.wait_for_function("() => document.querySelector('[data-testid=\"stApp\"]')?.dataset.testScriptState === 'notRunning'")


def test_a_whole_session_without_a_mouse(desk: Start, page: Any, seen: Seen) -> None:
    held = desk(fill)
    _sign_in(page, held)
    _decide(page, held)
    _give(page, held)
    _choose_a_key(page, held)
    _sign_out(page)
    assert seen.errors == []


def _sign_in(page: Any, held: Desk) -> None:
    page.goto(held.url)
    page.wait_for_selector("#name:focus")
    page.keyboard.type("lea")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector(TITLE)
    page.wait_for_timeout(60)


def _decide(page: Any, held: Desk) -> None:
    """Accept, correct among 77 labels, reject, park, flag, leave to leads, take back."""
    order = [press(page, "a")]
    page.keyboard.press("m")
    page.keyboard.type("swal")
    order.append(press(page, "Enter"))
    page.keyboard.press("x")
    tab(page, "INPUT", "", most=6)
    page.keyboard.type("two topics")
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    order.append(press(page, "2"))
    page.keyboard.press("p")
    press(page, "1")
    said(page, "Parked until")
    page.keyboard.press("f")
    said(page, "Flagged: leads find it")
    page.keyboard.press("z")
    said(page, "Nothing is on z here")
    page.keyboard.press("e")
    page.keyboard.type("axe or dye?")
    left = press(page, "Enter")
    said(page, "Escalated to a lead")
    press(page, "u")
    assert page.inner_text(TITLE) == left
    said(page, "Taken back")
    sent(page)
    rows = decisions(held)
    assert [(row.verdict, row.label) for row in rows[:2]] == [("accept", "reason_07"), ("correct", "card_swallowed")]
    assert [(row.verdict, row.comment) for row in rows[2:]] == [("reject", "two topics"), ("escalate", "axe or dye?")]
    assert page.evaluate("document.activeElement.tagName") == "H2", "the focus stays with the case"


def _give(page: Any, held: Desk) -> None:
    """The list of what is open: choose a case, and make it somebody's own."""
    tab(page, "A", "Queue")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Choose all shown")
    settled(page)
    tab(page, "BUTTON", "Give to")
    tab(page, "INPUT", f"Choose {waiting(held)}")
    page.keyboard.press("Space")
    settled(page)
    tab(page, "BUTTON", "Give to", "Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector('input[aria-label^="Person"]:focus')
    page.keyboard.type("ray")
    page.wait_for_timeout(150)
    page.keyboard.press("Enter")
    tab(page, "BUTTON", "Give the chosen ones", most=4)
    page.keyboard.press("Enter")
    page.wait_for_selector("text=1 case given to ray")
    settled(page)
    page.keyboard.press("Escape")
    assert len(factories.tasks(held.workspace.database, assignee_id=person(held, "ray"))) == 1


def _choose_a_key(page: Any, held: Desk) -> None:
    """`k` escalates from now on."""
    tab(page, "A", "Settings", most=90)
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Keep these settings")
    settled(page)
    tab(page, "INPUT", "Escalate to a lead")
    page.keyboard.type("k")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Kept.")
    chosen = held.workspace.database.read(preferences.of, person(held, "lea"))
    assert chosen.keys == {"escalate": "k"}
    tab(page, "A", "Review")
    page.keyboard.press("Enter")
    page.wait_for_selector(TITLE)
    page.wait_for_timeout(60)
    page.keyboard.press("k")
    page.wait_for_selector('.so-deck-step[aria-label="Escalate"] input:focus')
    page.keyboard.press("Escape")


def _sign_out(page: Any) -> None:
    tab(page, "A", "sign out")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Back to the desk")
    tab(page, "BUTTON", "Sign out")
    page.keyboard.press("Enter")
    page.wait_for_selector("#name:focus")
