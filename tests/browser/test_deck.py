"""The deck in a real browser: by keyboard, nothing lost, and nothing of a blind case's prediction before its answer."""

import random
import re
import signal
import statistics
import time
from typing import Any

import pytest
from sqlalchemy import select

from app.workspace import Workspace
from db.tables import Claim, Decision
from review_queue import claims
from review_queue.activity import Actor
from review_queue.projects import Setting
from tests import factories
from tests.browser import filling
from tests.browser.conftest import Desk, Seen, Start, start
from tests.browser.test_review import decisions

pytestmark = pytest.mark.browser
TITLE = ".so-deck .so-title bdi"
OFF: dict[str, Any] = {"automate": {"at_least": "off"}}
EVERY = """({ key, count, every }) => new Promise((done) => {
  const shown = [], title = () => document.querySelector(".so-deck .so-title bdi")?.textContent;
  const unsent = () => Object.keys(localStorage).some((name) => name.startsWith("signoff.deck.said"));
  const clock = setInterval(() => {
    if (shown.length === count) { if (!unsent()) { clearInterval(clock); done(shown); } return; }
    const now = title();
    if (!now || now === shown.at(-1)) return;
    document.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    if (title() !== now) shown.push(now);
  }, every);
})"""
"""Presses a key as often as asked, at a pace; what was on the page at each press that a case answered to."""


def open_deck(page: Any, desk: Desk, project: str = "claims") -> None:
    page.goto(f"{desk.url}/?project={project}")
    page.wait_for_selector(TITLE)
    page.wait_for_timeout(60)


def press(page: Any, key: str) -> str:
    """A key, and the next case on the page; the one that was there."""
    before: str = page.inner_text(TITLE)
    page.keyboard.press(key)
    page.wait_for_function(f"before => document.querySelector('{TITLE}')?.textContent !== before", arg=before)
    page.wait_for_timeout(40)
    return before


def said(page: Any, words: str) -> None:
    page.wait_for_function("words => document.querySelector('.so-deck')?.innerText.includes(words)", arg=words)


def sent(page: Any) -> None:
    """Until everything that was said is acknowledged."""
    page.wait_for_function("() => !Object.keys(localStorage).some(name => name.startsWith('signoff.deck.said'))")


def names(desk: Desk) -> list[str]:
    """The cases in the order in which they were decided."""
    from db.tables import ItemKey

    query = select(ItemKey.name).join(Decision, Decision.item_id == ItemKey.item_id).order_by(Decision.id)
    return desk.workspace.database.read(lambda session: list(session.scalars(query)))


def many_labels(workspace: Workspace, count: int) -> None:
    """A project with 77 labels; the texts of its cases hold script."""
    labels = [f"reason_{n:02d}" for n in range(76)] + ["card_swallowed"]
    wanted = factories.project(project="bank", input={"type": "text"}, labels=labels, noun="message")
    setting = factories.setting(workspace.database, wanted, factories.policy(**OFF))
    items = [{"external_id": f"b-{n}", "input": {"text": f"{filling.NASTY} {n}"}} for n in range(count)]
    filling.route(workspace, setting, items, [factories.says("reason_07", 0.6, labels) for _ in items])


def test_a_session_of_decisions_corrections_parking_and_undo(desk: Start, page: Any, seen: Seen) -> None:
    def fill(workspace: Workspace) -> None:
        filling.table(workspace, 14, True, **OFF)
        many_labels(workspace, 4)

    held = desk(fill, "deck")
    open_deck(page, held)
    order = [press(page, key) for key in ("a", "d", "i", "y")]
    page.keyboard.press("x")
    page.wait_for_selector(".so-deck-step")
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    order.append(press(page, "2"))
    sent(page)
    assert names(held) == order
    rows = decisions(held)
    assert rows[-1].reason == "unusable input"
    assert all(row.seconds is not None and row.reasons_shown and row.reasons_opened is False for row in rows)
    press(page, "u")
    assert page.inner_text(TITLE) == order[-1]
    said(page, "Taken back")
    press(page, "a")
    parked = page.inner_text(TITLE)
    page.keyboard.press("p")
    press(page, "2")
    said(page, "Parked until")
    assert [task.state for task in factories.tasks(held.workspace.database, state="parked")] == ["parked"]
    press(page, "u")
    assert page.inner_text(TITLE) == parked
    sent(page)
    assert factories.tasks(held.workspace.database, state="parked") == []
    page.keyboard.press("f")
    said(page, "Flagged: leads find it")
    page.keyboard.press("e")
    page.wait_for_function("() => document.activeElement?.tagName === 'INPUT'")
    page.keyboard.type("axes, dyes and a")
    press(page, "Control+Enter")
    sent(page)
    assert [(row.verdict, row.comment) for row in decisions(held)[-1:]] == [("escalate", "axes, dyes and a")]
    _correct_among_77(page, held)
    assert page.evaluate("window.stolen") is None
    assert seen.errors == []
    foreign = [url for url in seen.urls if not url.startswith((held.url, "data:", "blob:", held.url.replace("http", "ws")))]
    assert foreign == []


def _correct_among_77(page: Any, held: Desk) -> None:
    open_deck(page, held, "bank")
    page.keyboard.press("m")
    page.wait_for_function("() => document.activeElement?.tagName === 'INPUT'")
    page.keyboard.type("swal")
    press(page, "Enter")
    sent(page)
    (row,) = [row for row in decisions(held) if row.label == "card_swallowed"]
    assert (row.verdict, row.stage) == ("correct", "final")
    assert "<script>" in page.inner_text(".so-deck-case")


def test_before_the_first_answer_nothing_of_the_prediction_is_anywhere(desk: Start, page: Any, seen: Seen) -> None:
    def fill(workspace: Workspace) -> None:
        project = factories.project(labels={"deny": {"key": "d"}, "zzlabelzz": {"key": "z", "title": "Zzlabel"}})
        wished = factories.policy(audit={"rate": 1.0}, automate={"at_least": 0.5})
        setting = factories.setting(workspace.database, project, wished)
        said = factories.says("deny", 0.7341, ("deny", "zzlabelzz"))
        filling.route(workspace, setting, [factories.raw(f"drawn-{n}") for n in range(3)], [said] * 3)
        filling.explain(workspace, setting, lambda given: [filling.tabular(setting, given, "shap.permutation", random.Random(1))])

    held = desk(fill, "deck")
    told: list[str] = []
    page.on("response", lambda response: told.append(response.text()) if "/desk/" in response.url else None)
    open_deck(page, held)
    page.wait_for_load_state("networkidle")
    kept = page.evaluate("JSON.stringify([{ ...localStorage }, { ...sessionStorage }])")
    whole = b"".join(seen.frames) + "".join([*told, page.content(), kept]).encode()
    assert b"drawn-0" in whole
    for secret in (
        b"73 %",
        b"7341",
        b"SHAP",
        b"so-bar",
        b"so-chance",
        b"Accept",
        b"audit",
        b"spot check",
        b"permutation",
        b"% sure",
        b"about 3 in 4",
    ):
        at = whole.find(secret)
        assert at < 0, whole[max(0, at - 80) : at + 80]
    waited = [_reveal(page) for _ in range(3)]
    assert statistics.median(waited) <= 250  # milliseconds, beside whatever else runs here; the benchmark holds it to 100
    sent(page)
    stages = [(row.stage, row.verdict) for row in decisions(held)]
    assert stages == [("first", "accept"), ("final", "accept")] * 3


def _reveal(page: Any) -> float:
    """Answer blind and keep the answer; milliseconds from the key to the revealed prediction."""
    took: float = page.evaluate(
        """() => new Promise((done) => {
          const began = performance.now();
          new MutationObserver((_, look) => {
            if (!document.querySelector(".so-deck .so-chance")) return;
            look.disconnect();
            requestAnimationFrame(() => done(performance.now() - began));
          }).observe(document.querySelector(".so-deck"), { subtree: true, childList: true });
          document.dispatchEvent(new KeyboardEvent("keydown", { key: "d", bubbles: true }));
        })"""
    )
    page.wait_for_timeout(60)
    page.keyboard.press("a")
    page.wait_for_timeout(150)
    return took


def test_a_lost_case_says_why_and_what_was_decided_before_it_stands(desk: Start, page: Any) -> None:
    held = desk(lambda workspace: filling.table(workspace, 9, False, **OFF), "deck")
    open_deck(page, held)
    press(page, "a")
    sent(page)
    lead, shown = factories.person(held.workspace.database, "lea", "lead"), page.inner_text(TITLE)
    _take_away(held, lead)
    page.keyboard.press("a")
    said(page, f"{shown}: A lead took this case from you.")
    sent(page)
    assert len(decisions(held)) == 1
    page.wait_for_timeout(1200)  # long enough on the page to have been read
    page.keyboard.press("e")
    page.keyboard.type("half a word")
    page.keyboard.press("Tab")
    _take_away(held, lead)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    said(page, "You had written: “half a word”")
    page.get_by_role("button", name="Go on with the next case").click()
    press(page, "d")
    sent(page)
    assert len(decisions(held)) == 2


def _take_away(desk: Desk, lead: Actor) -> None:
    """A lead releases all that is held."""
    database = desk.workspace.database
    for claim in database.read(lambda session: list(session.scalars(select(Claim).filter_by(state="held")))):
        database.write(claims.release_of, claim.task_id, by=lead)


def test_reasons_come_by_themselves_and_in_full_without_moving_the_case(desk: Start, page: Any) -> None:
    settings: list[Setting] = []
    held = desk(lambda workspace: settings.append(filling.table(workspace, 3, False, **OFF)), "deck")
    open_deck(page, held)
    said(page, "Reasons are being made")
    rows = "all => all.map(each => each.textContent)"
    before = page.eval_on_selector_all(".so-deck .so-row .so-name", rows)
    rng = random.Random(4)
    methods = ("shap.permutation", "lime.tabular")
    filling.explain(
        held.workspace, settings[0], lambda given: [filling.tabular(settings[0], given, each, rng) for each in methods]
    )
    page.wait_for_selector(".so-deck .so-legend")
    assert page.eval_on_selector_all(".so-deck .so-row .so-name", rows) == before
    page.keyboard.press("w")
    said(page, "Open every case in full")
    page.get_by_label("Open every case in full").check()
    page.get_by_role("button", name="Why not").click()
    said(page, "is being made; go on as you like")
    assert filling.answer(held.workspace, lambda each: filling.tabular(settings[0], {}, each, rng)) == 1
    page.wait_for_selector(".so-deck .so-more h3:has-text('Why not')")
    press(page, "a")
    said(page, "Open every case in full")
    press(page, "a")
    sent(page)
    first, second = decisions(held)
    assert (first.reasons_opened, second.reasons_opened) == (True, True)
    assert [len(row.reasons_shown or ()) for row in (first, second)] == [3, 2]


@pytest.mark.parametrize("count", [60, pytest.param(300, marks=[pytest.mark.slow, pytest.mark.timeout(400)])])
def test_no_decision_is_lost_at_ten_a_second_while_the_server_is_killed_and_started_again(
    desk: Start, page: Any, count: int
) -> None:
    held = desk(lambda workspace: filling.table(workspace, count + 10, True, **OFF), "deck")
    open_deck(page, held)
    first: list[str] = page.evaluate(EVERY, {"key": "a", "count": count // 2, "every": 100})
    page.evaluate(f"() => {{ window.second = ({EVERY})({{ key: 'a', count: {count - count // 2}, every: 100 }}); }}")
    page.wait_for_timeout(350)
    held.process.send_signal(signal.SIGKILL)
    held.process.wait()
    said(page, "Not sent yet:")
    port = int(re.search(r":(\d+)$", held.url)[1])  # type: ignore[index]
    again = start(held.workspace.settings.dir, held.workspace, port)
    try:
        second: list[str] = page.evaluate("window.second")
        assert names(held) == [*first, *second]
        assert len({row.task_id for row in decisions(held)}) == count
    finally:
        again.process.terminate()
        again.process.wait(10)


@pytest.mark.slow
def test_three_hundred_decisions_at_ten_a_second_are_all_stored_once_and_in_order(desk: Start, page: Any) -> None:
    held = desk(lambda workspace: filling.table(workspace, 310, True, **OFF), "deck")
    open_deck(page, held)
    began = time.monotonic()
    shown = page.evaluate(EVERY, {"key": "a", "count": 300, "every": 100})
    assert time.monotonic() - began < 60
    assert names(held) == shown
