"""The page Insights before a real browser: sections and periods in the address, pictures that are painted, numbers as files."""

import csv
from typing import Any

import pytest

from app.workspace import Workspace
from review_queue import cases, decisions, people
from review_queue.activity import Actor
from review_queue.decisions import Said
from tests.browser import filling
from tests.browser.conftest import Seen, Start

pytestmark = pytest.mark.browser
OVERFLOW = (
    "document.querySelector('[data-testid=stMain]').scrollWidth - document.querySelector('[data-testid=stMain]').clientWidth"
)
PAINTED = """[...document.querySelectorAll('.so-ink')].every(each => {
  const mask = getComputedStyle(each).maskImage;
  return mask.startsWith('url("data:image/svg+xml') && each.clientHeight > 50; })"""


def fill(workspace: Workspace) -> None:
    """Twelve cases of which ten are decided, four of them corrected."""
    setting = filling.table(workspace, 12, False)
    account = workspace.database.write(people.add_person, "ann", role="reviewer")
    ann = Actor(account.id, account.name, account.role, "desk")
    for n in range(10):
        case = workspace.database.write(cases.take, setting, ann, "s", 1)[0]
        predicted = case.prediction.label if case.prediction else ""
        other = next(label for label in setting.project.labels if label != predicted)
        said = Said(f"k{n}", "correct", other, seconds=20) if n < 4 else Said(f"k{n}", "accept", seconds=20)
        workspace.database.write(decisions.decide, ann, case.task_id, case.token, said)


def test_a_look_at_insights(desk: Start, page: Any, seen: Seen) -> None:
    running = desk(fill)
    page.goto(f"{running.url}/insights?project=claims")
    page.wait_for_selector(".so-chart >> text=Acted alone, over time")
    assert page.evaluate(PAINTED)
    assert page.locator(".so-ink").count() > 0

    page.get_by_role("radio", name="Model").click()
    page.wait_for_selector("text=What is taken for what")
    page.wait_for_function("location.search.includes('section=Model')")
    page.get_by_role("radio", name="7 days").click()
    page.wait_for_function("location.search.includes('period=7+days')")
    page.reload()
    page.wait_for_selector("text=What is taken for what")
    assert "4 cases of 10 were mixed up, 40.0 % of all that came in." in page.inner_text(".so-charts")

    numbers = page.locator(".so-chart", has_text="How sure, and how often right")
    numbers.locator("summary").focus()
    page.keyboard.press("Enter")
    assert numbers.locator("table").is_visible()
    link = numbers.get_by_role("link", name="as CSV")
    with page.expect_download() as taken:
        link.click()
    rows = list(csv.DictReader(taken.value.path().read_text(encoding="utf-8").splitlines()))
    assert taken.value.suggested_filename.startswith("claims-reliability-")
    assert sum(int(row["cases"]) for row in rows) == 10

    page.goto(f"{running.url}/insights?section=Pace&period=dates&from=2026-01-01&to=2026-01-31")
    page.wait_for_selector("text=Decisions per hour of work")
    assert "No decision of this period has its time." in page.inner_text(".so-charts")
    page.goto(f"{running.url}/insights?section=Pace&period=dates&from=2026-02-01&to=2026-01-31")
    page.wait_for_selector("text=2026-02-01 is after 2026-01-31")

    page.set_viewport_size({"width": 390, "height": 844})
    for section in ("Traffic", "Model", "Pace", "People"):
        page.goto(f"{running.url}/insights?section={section}")
        page.wait_for_selector(".so-charts, .so-empty")
        assert page.evaluate(OVERFLOW) <= 0, section
    assert seen.errors == []
    assert {url.split("/")[2] for url in seen.urls if not url.startswith(("data:", "blob:"))} == {running.url.split("/")[2]}
