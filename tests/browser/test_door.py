"""Coming in and going out, in a browser."""

from typing import Any

import pytest

from review_queue import members, people, projects
from tests import factories
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


def test_a_role_that_is_refused_and_a_project_that_is_closed(desk: Start, page: Any) -> None:
    def fill(workspace: Any) -> None:
        filling.table(workspace, 4, True, automate={"at_least": "off"})
        key = workspace.keys.draw_key_id
        letters = factories.project(project="letters", title="Secret letters")
        workspace.database.write(projects.apply, letters, factories.policy(), "", key, by=None)
        workspace.database.write(people.add_person, "vic", role="viewer", password="a long password", everywhere=False)
        workspace.database.write(members.grant, "vic", "claims")

    held = desk(fill)
    database = held.workspace.database
    page.goto(f"{held.url}/activity?project=letters")
    page.fill("#name", "vic")
    page.fill("#password", "a long password")
    page.click("button")
    page.wait_for_selector("text=You have done nothing here yet")
    assert "project=claims" in page.url
    assert "Secret letters" not in page.content()
    assert page.locator(".st-key-activity-person").count() == 0, "whose acts is for leads to choose"
    page.goto(f"{held.url}/?project=claims")
    page.wait_for_selector("text=A viewer decides no cases")
    assert page.locator('[class*="st-key-accept-"]').count() == 0
    for path in ("/activity.csv?project=letters", "/csv/letters/traffic"):
        refused = page.request.get(f"{held.url}{path}")
        assert refused.status == 404, path
        assert "Secret" not in refused.text()

    database.write(members.set_role, "vic", "lead")
    page.goto(f"{held.url}/models?project=claims")
    page.click("text=Freeze automation")
    page.wait_for_selector("text=Freeze it?")
    database.write(members.set_role, "vic", "viewer")
    page.click(".st-key-models-freeze-yes button")
    page.wait_for_selector("text=nothing was done")
    assert database.read(projects.get, "claims").frozen_at is None
    assert page.locator(".st-key-models-freeze").count() == 0
