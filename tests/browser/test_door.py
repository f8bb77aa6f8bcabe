"""Coming in and going out, in a browser."""

from typing import Any

import pytest

from review_queue import people
from tests.browser import filling
from tests.browser.conftest import Start

pytestmark = pytest.mark.browser


def test_once_somebody_has_a_password_everybody_signs_in(desk: Start, page: Any) -> None:
    def fill(workspace: Any) -> None:
        filling.table(workspace, 4, True, automate={"at_least": "off"})
        workspace.database.write(people.add_person, "ann", role="reviewer", password="a long password")

    held = desk(fill)
    page.goto(f"{held.url}/queue?project=claims")
    assert "/signin" in page.url
    page.fill("#name", "ann")
    page.fill("#password", "wrong password")
    page.click("button")
    assert "wrong" in page.inner_text('[role="alert"]')
    page.fill("#password", "a long password")
    page.click("button")
    page.wait_for_selector(".so-title")
    assert "/queue" in page.url
    page.goto(f"{held.url}/?project=claims")
    page.wait_for_selector(".so-foot >> text=ann")
    page.goto(f"{held.url}/signout")
    page.click("button")
    page.goto(f"{held.url}/?project=claims")
    assert "/signin" in page.url
