"""The desk by keyboard, as an operator works it."""

import random
from typing import Any

import pytest
from sqlalchemy import func, select

from db.tables import Claim, Decision
from review_queue import preferences
from review_queue.decisions import VERDICTS
from review_queue.preferences import Preferences
from tests import factories
from tests.browser import filling
from tests.browser.conftest import Desk, Seen, Start

pytestmark = pytest.mark.browser
MAIN = '[class*="st-key-accept-"] button'
TITLE = ".so-title bdi"


def on_the_page(desk: Desk) -> None:
    """Whoever sits here chose the plain page instead of the deck."""
    database = desk.workspace.database
    database.write(preferences.choose, desk.workspace.local_actor("desk"), Preferences("page"))


def open_review(page: Any, desk: Desk, project: str = "claims") -> None:
    on_the_page(desk)
    page.goto(f"{desk.url}/?project={project}")
    page.wait_for_selector(TITLE)
    page.wait_for_selector('[class*="st-key-undo-"] button')
    settled(page)


def settled(page: Any) -> None:
    """Until the page has drawn all it was sent."""
    page.wait_for_function("() => document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'")


def press(page: Any, key: str) -> None:
    """A key, and the next case on the page."""
    before = page.inner_text(TITLE)
    page.keyboard.press(key)
    page.wait_for_function("before => document.querySelector('.so-title bdi')?.textContent !== before", arg=before)
    settled(page)


def decisions(desk: Desk) -> list[Decision]:
    return desk.workspace.database.read(lambda session: list(session.scalars(select(Decision).order_by(Decision.id))))


def test_cases_are_decided_by_keyboard_and_one_is_taken_back(desk: Start, page: Any) -> None:
    held = desk(lambda workspace: filling.table(workspace, 14, True, automate={"at_least": "off"}))
    open_review(page, held)
    for key in ["a", "d", "i", "y", "a", "a", "d", "a", "a", "a"]:
        press(page, key)
    assert page.inner_text('[data-count="today"]') == "10"
    last = page.inner_text(TITLE)
    page.keyboard.press("u")
    page.wait_for_function("() => document.querySelector('[data-count=today]')?.textContent === '9'")
    assert page.inner_text(TITLE) != last
    stored = decisions(held)
    assert len(stored) == 10
    assert {row.verdict for row in stored} <= set(VERDICTS)
    assert all(row.seconds is not None and row.reasons_shown for row in stored)


def test_a_blind_case_is_answered_then_revealed_then_kept(desk: Start, page: Any) -> None:
    held = desk(
        lambda workspace: filling.pictures(workspace, 4, True, automate={"at_least": "off"}, review={"blind_first": "all"})
    )
    open_review(page, held, "digits")
    assert not page.query_selector(MAIN)
    page.keyboard.press("3")
    page.wait_for_selector(MAIN)
    settled(page)
    assert "Keep: 3" in page.inner_text(MAIN)
    assert "You said 3" in page.inner_text("body")
    press(page, "a")
    assert [(row.stage, row.blind) for row in decisions(held)] == [("first", True), ("final", True)]


def test_a_rejection_asks_its_reason_and_escape_goes_back(desk: Start, page: Any) -> None:
    held = desk(lambda workspace: filling.table(workspace, 6, False, automate={"at_least": "off"}))
    open_review(page, held)
    page.keyboard.press("x")
    page.wait_for_selector('[class*="st-key-reason-1-"] button')
    settled(page)
    page.keyboard.press("Escape")
    page.wait_for_selector(MAIN)
    settled(page)
    page.keyboard.press("x")
    page.wait_for_selector('[class*="st-key-reason-2-"] button')
    settled(page)
    press(page, "2")
    assert [(row.verdict, row.reason) for row in decisions(held)] == [("reject", "unusable input")]


def test_a_case_is_parked_and_taken_back_without_a_mouse(desk: Start, page: Any) -> None:
    held = desk(lambda workspace: filling.table(workspace, 6, False, automate={"at_least": "off"}))
    open_review(page, held)
    first = page.inner_text(TITLE)
    page.keyboard.press("p")
    page.wait_for_selector('[class*="st-key-until-2-"] button')
    settled(page)
    press(page, "2")
    assert [task.state for task in factories.tasks(held.workspace.database, state="parked")] == ["parked"]
    press(page, "u")
    assert page.inner_text(TITLE) == first
    assert factories.tasks(held.workspace.database, state="parked") == []
    page.wait_for_selector(MAIN)
    page.keyboard.press("p")
    page.wait_for_selector('[class*="st-key-day-"] button')
    settled(page)
    page.keyboard.press("5")
    page.wait_for_function("() => document.activeElement?.tagName === 'INPUT'")
    page.keyboard.type("5d")
    page.keyboard.press("Tab")
    page.keyboard.type("ask the garage, pay, deny")
    page.keyboard.press("Enter")
    page.wait_for_function("before => document.querySelector('.so-title bdi')?.textContent !== before", arg=first)
    (task,) = factories.tasks(held.workspace.database, state="parked")
    assert (task.parked_note, task.parked_until is not None) == ("ask the garage, pay, deny", True)
    assert decisions(held) == []


def test_choosing_among_all_labels_and_words_for_a_lead_need_no_mouse(desk: Start, page: Any) -> None:
    held = desk(lambda workspace: filling.table(workspace, 6, False, automate={"at_least": "off"}))
    open_review(page, held)
    before = page.inner_text(TITLE)
    page.keyboard.press("m")
    page.wait_for_function("() => document.activeElement?.tagName === 'INPUT'")
    page.keyboard.type("Insp")
    page.keyboard.press("Enter")
    page.wait_for_function("before => document.querySelector('.so-title bdi')?.textContent !== before", arg=before)
    page.wait_for_selector(MAIN)
    settled(page)
    before = page.inner_text(TITLE)
    page.keyboard.press("e")
    page.wait_for_function("() => document.activeElement?.tagName === 'INPUT'")
    page.keyboard.type("axes and dyes")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.body.innerText.includes('Escalated')")
    first, second = decisions(held)
    assert first.label == "inspect"
    assert (second.verdict, second.comment) == ("escalate", "axes and dyes")


def test_a_tab_that_is_reloaded_goes_on_with_its_case(desk: Start, page: Any) -> None:
    held = desk(lambda workspace: filling.table(workspace, 6, False, automate={"at_least": "off"}))
    open_review(page, held)
    case = page.inner_text(TITLE)
    page.reload()
    page.wait_for_selector(TITLE)
    assert page.inner_text(TITLE) == case


def test_before_the_first_answer_nothing_of_the_prediction_reaches_the_page(desk: Start, page: Any, seen: Seen) -> None:
    def fill(workspace: Any) -> None:
        project = factories.project(labels={"deny": {"key": "d"}, "zzlabelzz": {"key": "z", "title": "Zzlabel"}})
        setting = factories.setting(
            workspace.database, project, factories.policy(audit={"rate": 1.0}, automate={"at_least": 0.5})
        )
        said = factories.says("deny", 0.7341, ("deny", "zzlabelzz"))
        filling.route(workspace, setting, [factories.raw("drawn-1"), factories.raw("drawn-2")], [said, said])
        filling.explain(workspace, setting, lambda given: [filling.tabular(setting, given, "shap.permutation", random.Random(1))])

    held = desk(fill)
    on_the_page(held)
    page.goto(f"{held.url}/?project=claims")
    page.wait_for_selector('[class*="st-key-label-deny"] button')
    settled(page)
    told = b"".join(seen.frames) + page.content().encode()
    for secret in (
        b"73 %",
        b"7341",
        b"SHAP",
        b"so-bar",
        b"so-chance",
        b"Accept",
        b"audit",
        b"spot check",
        b"shap.permutation",
        b"sure",
    ):
        assert secret not in told, secret
    page.keyboard.press("d")
    page.wait_for_selector(MAIN)
    settled(page)
    assert "73 %" in page.inner_text("body")


def test_keys_faster_than_the_page_decide_each_case_once(desk: Start, page: Any) -> None:
    held = desk(lambda workspace: filling.table(workspace, 40, True, automate={"at_least": "off"}))
    open_review(page, held)
    page.evaluate(
        """() => { window.shown = []; new MutationObserver(() => {
          const title = document.querySelector('.so-title bdi')?.textContent;
          if (title && window.shown.at(-1) !== title) window.shown.push(title); }).observe(
            document.body, {subtree: true, childList: true, characterData: true});
          window.shown.push(document.querySelector('.so-title bdi').textContent); }"""
    )
    for _ in range(30):
        page.keyboard.press("a")
        page.wait_for_timeout(100)
    page.wait_for_timeout(2000)
    stored = decisions(held)
    shown = page.evaluate("window.shown")
    assert len({row.task_id for row in stored}) == len(stored)
    assert 5 <= len(stored) <= 30
    assert len(shown) == len(stored) + 1
    closed = held.workspace.database.read(lambda s: s.scalar(select(func.count()).where(Claim.state == "answered")))
    assert closed == len(stored)


def test_no_other_host_is_asked_and_scripts_in_a_case_stay_text(desk: Start, page: Any, seen: Seen) -> None:
    held = desk(lambda workspace: filling.fill(workspace, claims=12, messages=4, digits=3, automate={"at_least": "off"}))
    for path in ("?project=claims", "?project=messages", "?project=digits", "queue?project=claims", "insights?project=claims"):
        page.goto(f"{held.url}/{path}")
        page.wait_for_selector(".so-title")
        page.wait_for_timeout(300)
    open_review(page, held)
    for _ in range(4):
        assert page.evaluate("window.stolen") is None
        press(page, "a")
    foreign = [url for url in seen.urls if not url.startswith((held.url, "data:", "blob:", held.url.replace("http", "ws")))]
    assert foreign == []
    assert seen.errors == []


def test_a_narrow_screen_scrolls_down_only_and_keeps_the_keys_in_sight(desk: Start, chromium: Any) -> None:
    held = desk(lambda workspace: filling.fill(workspace, claims=12, messages=4, digits=3, automate={"at_least": "off"}))
    context = chromium.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page = context.new_page()
    for project in ("claims", "messages", "digits"):
        open_review(page, held, project)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        box = page.locator(MAIN).bounding_box()
        assert box is not None
        assert 0 <= box["y"] <= 844
    context.close()
