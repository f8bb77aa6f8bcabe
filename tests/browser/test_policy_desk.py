"""The policy desk before a real browser: sliders by keyboard, figures at once, nothing that scrolls sideways."""

from typing import Any

import pytest

from app.workspace import Workspace
from tests import factories
from tests.browser import filling
from tests.browser.conftest import Seen, Start
from tests.browser.test_insights import OVERFLOW, PAINTED

pytestmark = pytest.mark.browser


def fill(workspace: Workspace) -> None:
    held = factories.setting(workspace.database, wished=factories.policy(automate={"at_least": 0.9}, audit={"rate": 0.5}))
    answers = [factories.says(("deny", "pay")[n % 2], 0.5 + n / 100) for n in range(50)]
    filling.route(workspace, held, [factories.raw(f"{n}") for n in range(50)], answers)


def test_a_threshold_is_tried_by_keyboard(desk: Start, page: Any, seen: Seen) -> None:
    running = desk(fill)
    page.goto(f"{running.url}/autonomy?project=claims&section=Policy")
    page.wait_for_selector(".so-beside")
    names = [each.get_attribute("aria-label") for each in page.get_by_role("slider").all()]
    assert names == ["Acts alone from confidence", "Spot checks, % of what acts alone", "Error held to be fit"]
    assert page.inner_text(".so-beside").count("10 of 50") == 3
    page.get_by_role("slider", name="Acts alone from confidence").focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    page.wait_for_selector(".so-beside >> text=15 of 50")
    assert page.evaluate(PAINTED)
    assert page.get_by_role("button", name="Propose this policy").is_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(300)
    assert page.evaluate(OVERFLOW) <= 0
