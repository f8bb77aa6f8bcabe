"""Why, in full: opened and asked by keyboard; what comes late comes by itself and moves nothing."""

import random
from typing import Any

import pytest
from sqlalchemy import select

from app.workspace import Workspace
from db.tables import ReasonRequest, Work
from review_queue.projects import Setting
from tests.browser import filling
from tests.browser.conftest import Start
from tests.browser.test_review import MAIN, TITLE, decisions, open_review, press, settled

pytestmark = pytest.mark.browser
OFF: dict[str, Any] = {"automate": {"at_least": "off"}}
ROWS = ".so-bars .so-row:not(.so-head)"
OPEN = '[class*="st-key-why-keep-"] input'
METHODS = ("shap.permutation", "lime.tabular")
PLACES = """() => [...document.querySelectorAll('.so-bars .so-what')].map(
  each => [each.textContent, Math.round(each.getBoundingClientRect().top)])"""


def open_in_full(page: Any) -> None:
    page.wait_for_selector('[class*="st-key-why-"] button')
    page.keyboard.press("w")
    page.wait_for_selector(OPEN)
    settled(page)


def explained(setting: Setting, **body: Any) -> Any:
    rng = random.Random(5)
    return lambda given: [{**filling.tabular(setting, given, method, rng), **body} for method in METHODS]


def test_w_opens_everything_for_this_case_and_the_decision_says_so(desk: Start, page: Any) -> None:
    held = desk(lambda workspace: filling.table(workspace, 6, True, **OFF))
    open_review(page, held)
    top = page.eval_on_selector(".so-bars .so-row:nth-child(3)", "each => each.textContent")
    assert page.locator(ROWS + ":visible").count() == 8
    open_in_full(page)
    assert page.locator(ROWS + ":visible").count() == 30
    assert page.eval_on_selector(".so-bars .so-row:nth-child(3)", "each => each.textContent") == top
    assert "fits the model here" in page.inner_text("body")
    press(page, "a")
    assert not page.query_selector(OPEN)
    press(page, "a")
    assert [(row.reasons_opened, len(row.reasons_shown or ())) for row in decisions(held)] == [(True, 2), (False, 2)]


def test_a_person_may_keep_it_open_for_the_session(desk: Start, page: Any) -> None:
    held = desk(lambda workspace: filling.table(workspace, 6, True, **OFF))
    open_review(page, held)
    open_in_full(page)
    page.focus(OPEN)
    page.keyboard.press("Space")
    settled(page)
    page.evaluate("document.activeElement.blur()")
    press(page, "a")
    page.wait_for_selector(OPEN)
    press(page, "a")
    page.wait_for_selector(OPEN)
    page.keyboard.press("w")
    page.wait_for_function("() => !document.querySelector('[class*=st-key-why-keep-] input')")
    assert [row.reasons_opened for row in decisions(held)] == [True, True]


def test_the_runner_up_is_asked_by_one_key_and_comes_by_itself(desk: Start, page: Any) -> None:
    held = desk(lambda workspace: filling.pictures(workspace, 4, True, **OFF))
    open_review(page, held, "digits")
    open_in_full(page)
    page.keyboard.press("y")
    page.wait_for_function("() => document.body.innerText.includes('is being made')")
    rng = random.Random(1)
    assert filling.answer(held.workspace, lambda method: filling.segments(method, rng)) == 1
    page.wait_for_selector(".so-more .so-over")
    settled(page)
    assert "Why not" in page.inner_text(".so-more h3")
    assert "is being made" not in page.inner_text("body")
    (request,) = held.workspace.database.read(lambda session: session.scalars(select(ReasonRequest)).all())
    press(page, "a")
    (row,) = decisions(held)
    assert len(row.reasons_shown or ()) == 3
    assert any(shown.startswith(f"{request.explanation_id}:") for shown in row.reasons_shown or ())


def test_what_was_asked_for_does_not_hold_the_decision_up(desk: Start, page: Any) -> None:
    held = desk(lambda workspace: filling.pictures(workspace, 4, True, **OFF))
    open_review(page, held, "digits")
    open_in_full(page)
    page.keyboard.press("y")
    page.wait_for_function("() => document.body.innerText.includes('is being made')")
    press(page, "a")
    assert [row.verdict for row in decisions(held)] == ["accept"]
    assert "is being made" not in page.inner_text("body")


def test_what_cannot_be_made_says_why(desk: Start, page: Any) -> None:
    held = desk(lambda workspace: filling.pictures(workspace, 2, True, **OFF))
    open_review(page, held, "digits")
    open_in_full(page)
    page.keyboard.press("y")
    page.wait_for_function("() => document.body.innerText.includes('is being made')")
    failed = {"contributions": {}, "problem": "The model gives <b>no</b> number."}
    filling.answer(held.workspace, lambda method: {**filling.segments(method, random.Random(1)), **failed})
    page.wait_for_function("() => document.body.innerText.includes('gives <b>no</b> number')")
    assert page.query_selector(MAIN)


def test_a_key_that_a_label_has_stays_the_labels(desk: Start, page: Any) -> None:
    held = desk(lambda workspace: filling.table(workspace, 4, True, **OFF))
    open_review(page, held)
    open_in_full(page)
    assert page.query_selector('[class*="st-key-runner-up-"] button')
    press(page, "y")
    assert [row.label for row in decisions(held)] == ["pay"]


def test_reasons_that_come_late_come_by_themselves_and_move_nothing(desk: Start, page: Any) -> None:
    setting: list[Setting] = []
    held = desk(lambda workspace: setting.append(filling.table(workspace, 3, False, **OFF)))
    open_review(page, held)
    assert "Reasons are being made" in page.inner_text("body")
    before = page.evaluate(PLACES)
    assert len(before) == 30
    assert not page.query_selector(".so-bars i")
    ordered = held.workspace.database.read(lambda session: session.scalars(select(Work).filter_by(kind="explain")).all())
    assert len(ordered) == 1
    filling.explain(held.workspace, setting[0], explained(setting[0]))
    page.wait_for_selector(".so-bars i")
    settled(page)
    assert page.evaluate(PLACES) == before
    press(page, "a")
    (row,) = decisions(held)
    assert len(row.reasons_shown or ()) == 2
    assert page.locator(ROWS + ":visible").count() == 8


@pytest.mark.parametrize("width", [1440, 390])
def test_a_text_and_a_picture_stay_where_they_are(desk: Start, page: Any, width: int) -> None:
    settings: list[Setting] = []

    def fill(workspace: Workspace) -> None:
        settings.extend(each(workspace, 2, False, **OFF) for each in (filling.texts, filling.pictures))

    held, rng = desk(fill), random.Random(3)
    page.set_viewport_size({"width": width, "height": 900})
    made: dict[str, Any] = {
        "messages": (".so-method .so-text", lambda given: [filling.words(given["text"], "shap.partition", rng)]),
        "digits": (".so-figures img", lambda _: [filling.segments(each, rng) for each in ("shap.partition", "lime.image")]),
    }
    for setting in settings:
        selector, make = made[setting.name]
        open_review(page, held, setting.name)
        box = "each => { const { x, y, width } = each.getBoundingClientRect(); return [x, y, width].map(Math.round); }"
        before = page.eval_on_selector(selector, box)
        filling.explain(held.workspace, setting, make)
        page.wait_for_selector(".so-legend")
        settled(page)
        assert page.eval_on_selector(selector, box) == before


def test_an_unstable_order_is_hidden_until_somebody_wants_it(desk: Start, page: Any) -> None:
    def fill(workspace: Workspace) -> None:
        setting = filling.table(workspace, 3, False, **OFF)
        doubt = "a straight line fits the model badly around this item (R² 0.18, at least 0.5 is asked)"
        filling.explain(workspace, setting, explained(setting, doubt=doubt))

    held = desk(fill)
    open_review(page, held)
    names = page.eval_on_selector_all(ROWS + ":visible .so-name", "all => all.map(each => each.textContent)")
    assert names[:4] == ["Amount claimed", "Region", "Opened", "Story"]
    assert page.locator(".so-bars i:visible").count() == 0
    assert "LIME is unstable here: a straight line fits the model badly" in page.inner_text("body")
    page.focus(".so-unstable summary")
    page.keyboard.press("Enter")
    page.wait_for_selector(".so-unstable .so-bars i:visible")


def test_similar_cases_say_what_people_decided_and_never_before_a_blind_answer(desk: Start, page: Any) -> None:
    def fill(workspace: Workspace) -> None:
        filling.embed(workspace, filling.table(workspace, 5, True, **OFF))
        filling.embed(workspace, filling.texts(workspace, 3, True, **OFF))
        blind = filling.pictures(workspace, 3, True, review={"blind_first": "all"}, **OFF)
        filling.embed(workspace, blind)

    held = desk(fill)
    open_review(page, held)
    first = page.inner_text(TITLE)
    press(page, "y")
    press(page, "d")
    open_in_full(page)
    page.wait_for_selector(".so-near li")
    told = page.inner_text("body")
    against = sum(row.verdict == "correct" for row in decisions(held))
    assert f"Of the 2 nearest that people decided, {against or 'none'} went against the model." in told
    assert "near in the network's last hidden layer" in told
    link = page.get_by_role("link", name=first)
    assert link.get_attribute("href") == f"find?project=claims&id={first}"
    open_review(page, held, "messages")
    press(page, "a")
    open_in_full(page)
    page.wait_for_selector(".so-near .so-glimpse")
    open_review(page, held, "digits")
    page.keyboard.press("3")
    page.wait_for_selector(MAIN)
    press(page, "a")
    page.keyboard.press("3")
    page.wait_for_selector(MAIN)
    settled(page)
    open_in_full(page)
    assert not page.query_selector(".so-near")


def test_similar_pictures_are_seen(desk: Start, page: Any) -> None:
    held = desk(lambda workspace: filling.embed(workspace, filling.pictures(workspace, 4, True, **OFF)))
    open_review(page, held, "digits")
    press(page, "a")
    press(page, "a")
    open_in_full(page)
    page.wait_for_selector(".so-near .so-thumb")
    assert page.locator(".so-near li").count() == 2
    assert page.eval_on_selector_all(".so-thumb", "all => all.every(each => each.naturalWidth > 0)")


def test_in_full_a_narrow_screen_scrolls_down_only(desk: Start, chromium: Any) -> None:
    def fill(workspace: Workspace) -> None:
        filling.fill(workspace, claims=4, messages=4, digits=3, **OFF)

    held = desk(fill)
    context = chromium.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page = context.new_page()
    for project in ("claims", "messages", "digits"):
        open_review(page, held, project)
        open_in_full(page)
        if project == "digits":
            page.keyboard.press("y")
            page.wait_for_function("() => document.body.innerText.includes('is being made')")
            filling.answer(held.workspace, lambda method: filling.segments(method, random.Random(1)))
            page.wait_for_selector(".so-more .so-over")
        page.click("details:has-text('Another method') summary")
        page.wait_for_timeout(400)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
