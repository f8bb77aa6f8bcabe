"""Within a case, in a real browser: fields found and folded, an image looked into, reasons off and on, marks led to."""

from typing import Any

import pytest

from tests import factories
from tests.browser import filling
from tests.browser.conftest import Start

pytestmark = pytest.mark.browser


def many(workspace: Any) -> None:
    features = {f"f{n:02}": {"type": "number", "group": "Odd" if n % 2 else "Even"} for n in range(14)}
    made = factories.project(input={"type": "tabular", "features": features})
    setting = factories.setting(workspace.database, made, factories.policy(automate={"at_least": "off"}))
    raw = {"external_id": "1", "input": {name: float(n) for n, name in enumerate(features)}}
    filling.route(workspace, setting, [raw], [factories.says("pay", 0.6)])
    filling.choose(workspace, "page")


def test_fields_are_found_and_groups_stay_folded(desk: Start, page: Any) -> None:
    running = desk(many)
    page.goto(running.url)
    page.wait_for_selector(".so-case")
    page.locator("summary", has_text="Odd").click()
    page.keyboard.press("/")
    page.keyboard.type("f1")
    page.locator("[data-found]", has_text="4 of 14").wait_for()
    assert page.locator("[data-field]:visible").count() == 4  # also those within what is folded
    page.keyboard.press("Escape")
    assert page.locator("[data-field]:visible").count() == 7
    page.reload()
    page.wait_for_selector(".so-case")
    assert page.locator("details.so-group").evaluate_all("all => all.map((each) => each.open)") == [True, False]


def test_an_image_is_looked_into_and_its_reasons_go_off_and_on(desk: Start, page: Any) -> None:
    running = desk(lambda workspace: filling.pictures(workspace, 2, True))
    page.goto(running.url)
    page.wait_for_selector(".so-over")
    page.keyboard.press("o")
    page.wait_for_selector(".so-over", state="hidden")
    assert page.locator('[data-act="overlay"]').get_attribute("aria-pressed") == "false"
    page.keyboard.press("o")
    page.wait_for_selector(".so-over", state="visible")
    page.keyboard.press("+")
    assert page.locator("[data-zoomed]").text_content() == "1.5 times"
    first, second = page.locator(".so-lens").nth(0), page.locator(".so-lens").nth(1)
    first.evaluate("(lens) => lens.scrollTo(11, 0)")
    page.wait_for_timeout(300)
    assert second.evaluate("(lens) => lens.scrollLeft") == 11
    first.click()
    assert page.locator("[data-zoomed]").text_content() == ""
