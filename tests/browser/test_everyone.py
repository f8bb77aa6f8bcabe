"""No page shuts anybody out: axe-core finds nothing serious in our markup, in light and dark, wide and narrow."""

from typing import Any

import pytest

from tests.browser import filling
from tests.browser.conftest import Desk, Start
from tests.browser.test_review import settled

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]
PAGES = (
    *(f"review?project={project}" for project in ("claims", "messages", "digits")),
    *("queue", "queue?view=leads", "data", "models", "activity", "settings", "find?id=M-1003"),
    *(f"insights?section={section}" for section in ("Traffic", "Model", "Pace", "People")),
    *(f"autonomy?section={section}" for section in ("Now", "Policy", "History")),
)
READY = ".so-title, .so-empty"
GRAVE = ("serious", "critical")
OURS = "[data-testid='stHtml'], .so-deck, .so-bar-line, main > form"
STREAMLITS: frozenset[str] = frozenset()
"""Rules that Streamlit's own widgets break, as docs/desk.md lists them."""


def found(page: Any) -> tuple[list[str], set[str]]:
    """What is grave in our own markup, each with its place; and the rules that Streamlit's own breaks."""
    from axe_playwright_python.sync_playwright import Axe

    said = Axe().run(page).response["violations"]
    ours: list[str] = []
    others: set[str] = set()
    for rule in (each for each in said if each["impact"] in GRAVE):
        for node in rule["nodes"]:
            inside = page.evaluate("([at, ours]) => !!document.querySelector(at)?.closest(ours)", [node["target"][-1], OURS])
            if inside:
                ours.append(f"{rule['id']}: {node['html'][:160]} {node['failureSummary'][:200]}")
            else:
                others.add(rule["id"])
    return ours, others


def opened(page: Any, desk: Desk, path: str) -> None:
    page.goto(f"{desk.url}/{path}")
    page.wait_for_selector(READY)
    settled(page)
    page.wait_for_timeout(250)


@pytest.mark.parametrize(
    ("scheme", "width", "kind"), [pytest.param("light", 1440, "page", marks=pytest.mark.slow), ("dark", 390, "deck")]
)
def test_axe_finds_nothing_serious_in_what_is_ours(desk: Start, chromium: Any, scheme: str, width: int, kind: str) -> None:
    held = desk(lambda workspace: filling.fill(workspace, claims=10, messages=4, digits=4, automate={"at_least": "off"}), kind)
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    grave, others = {}, set()
    for path in PAGES:
        opened(page, held, path)
        grave[path], theirs = found(page)
        others |= theirs
    context.close()
    assert {path: said for path, said in grave.items() if said} == {}
    assert others <= STREAMLITS
