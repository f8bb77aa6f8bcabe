"""What a page says where something it needs is away, and that nothing typed is lost with it."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from review_queue import intake
from tests import factories
from tests.browser import filling
from tests.browser.conftest import Start, start
from tests.browser.test_review import TITLE, decisions, open_review, settled

pytestmark = pytest.mark.browser
FIELD = '[class*="st-key-actions"] input'
WORDS = "the garage has not answered yet"


def escalating(page: Any) -> None:
    """The words for a lead half typed."""
    page.keyboard.press("e")
    page.wait_for_function("() => document.activeElement?.tagName === 'INPUT'")
    settled(page)
    page.keyboard.type(WORDS)


def administrate(workspace: Any, *statements: str) -> None:
    with workspace.database.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_a_database_that_is_away_is_said_and_what_was_typed_is_sent_once_it_is_back(desk: Start, page: Any) -> None:
    held = desk(lambda workspace: filling.table(workspace, 4, False, automate={"at_least": "off"}))
    open_review(page, held)
    escalating(page)
    administrate(held.workspace, "ALTER TABLE claim RENAME TO claim_away")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.body.innerText.includes('The database does not answer')")
    administrate(held.workspace, "ALTER TABLE claim_away RENAME TO claim")
    page.wait_for_selector(FIELD)
    settled(page)
    assert page.input_value(FIELD) == WORDS
    page.focus(FIELD)
    page.keyboard.press("Control+Enter")
    page.wait_for_function("() => document.body.innerText.includes('Escalated')")
    assert [(row.verdict, row.comment) for row in decisions(held)] == [("escalate", WORDS)]


def test_a_server_that_was_started_anew_finds_the_same_case_and_what_was_typed(desk: Start, page: Any, tmp_path: Path) -> None:
    held = desk(lambda workspace: filling.table(workspace, 4, False, automate={"at_least": "off"}))
    open_review(page, held)
    case = page.inner_text(TITLE)
    escalating(page)
    os.kill(held.process.pid, signal.SIGKILL)
    held.process.wait(10)
    page.wait_for_selector(".so-line-away")
    again = start(tmp_path / "desk", held.workspace, port=int(held.url.rpartition(":")[2]))
    try:
        page.wait_for_selector(".so-line-away", state="detached", timeout=60_000)
        settled(page)
        page.wait_for_selector('[class*="st-key-escalate-"] button')
        settled(page)
        assert page.inner_text(TITLE) == case
        page.keyboard.press("e")
        page.wait_for_function("words => document.activeElement?.value === words", arg=WORDS)
        settled(page)
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.body.innerText.includes('Escalated')")
        assert [(row.verdict, row.comment) for row in decisions(held)] == [("escalate", WORDS)]
    finally:
        again.process.terminate()
        again.process.wait(10)


def test_a_case_that_its_producer_withdrew_meanwhile_is_said_so(desk: Start, page: Any) -> None:
    from review_queue import withdrawal

    held = desk(lambda workspace: filling.table(workspace, 4, False, automate={"at_least": "off"}))
    open_review(page, held)
    case = page.inner_text(TITLE)
    setting = factories.setting(held.workspace.database, filling.claims_project(), factories.policy(automate={"at_least": "off"}))
    lead = factories.person(held.workspace.database, "producer", "admin")
    held.workspace.database.write(withdrawal.cancel, setting, case, by=lead)
    page.keyboard.press("a")
    page.wait_for_function("() => document.body.innerText.includes('The producer withdrew this claim')")
    assert decisions(held) == []


def test_where_no_worker_is_at_work_every_page_says_so(desk: Start, page: Any) -> None:
    def fill(workspace: Any) -> None:
        setting = filling.table(workspace, 4, False, automate={"at_least": "off"})
        workspace.database.write(intake.accept, setting, [intake.check(setting.project, late(setting))])
        administrate(workspace, f"UPDATE work SET ready_at = ready_at - {10 * 60 * 1_000_000}")

    held = desk(fill)
    open_review(page, held)
    page.wait_for_selector(".so-frozen")
    assert "No worker is at work: what arrived has waited since" in page.inner_text(".so-frozen")


def late(setting: Any) -> dict[str, Any]:
    """An item that nobody scores."""
    given = {name: 1.0 for name in setting.project.input.features if name.startswith("reading")}
    return {"external_id": "late", "input": {**given, "amount": 1.0, "region": "north", "opened": "2026-11-03", "story": "x"}}
