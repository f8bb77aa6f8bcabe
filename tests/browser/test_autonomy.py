"""The page Autonomy where something acts alone, and the report as a file, in a browser: nobody is shut out or asked."""

from pathlib import Path
from typing import Any

import pytest

from app.report import groups, make
from app.workspace import Workspace, local_name
from review_queue import autonomy, notices, people, projects
from review_queue.projects import Setting
from tests.browser.conftest import Start
from tests.browser.test_everyone import found, opened
from tests.review_queue import earning

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def climbed(workspace: Workspace) -> Setting:
    """A unit that acts alone, with checks of it, a rise that waits, a notice, and groups."""
    held = earning.earned(workspace.database, evidence={"by_label": True})
    by, key = workspace.database.write(people.local_actor, local_name(), "desk"), workspace.keys.draw_key_id
    earning.traffic(workspace.database, held, 250, groups={"sex": "f"})
    earning.traffic(workspace.database, held, 60, label="deny", groups={"sex": "m"})
    workspace.database.write(autonomy.raise_unit, held, ":pay", by=by, draw_key_id=key)
    earning.traffic(workspace.database, held, 400, 3, groups={"sex": "f"})
    earning.traffic(workspace.database, held, 400, 9, groups={"sex": "m"})
    workspace.database.write(notices.open_notice, held.id, "drift", "amount", "amount moved.")
    return workspace.database.read(projects.by_id, held.id)


@pytest.mark.parametrize(("scheme", "width"), [pytest.param("light", 1440, marks=pytest.mark.slow), ("dark", 390)])
def test_axe_finds_nothing_grave_where_something_acts_alone(desk: Start, chromium: Any, scheme: str, width: int) -> None:
    held = desk(climbed, "page")
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    grave = {}
    for section in ("Now", "History"):
        opened(page, held, f"autonomy?section={section}")
        grave[section] = found(page)[0]
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.locator(".so-notice").count() == 1
    context.close()
    assert {section: said for section, said in grave.items() if said} == {}


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_the_report_asks_nobody_and_shuts_nobody_out(
    chromium: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, width: int
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    from tests.browser import filling

    monkeypatch.setattr(groups, "RESAMPLES", 10)
    workspace = filling.workspace(tmp_path / "desk")
    held = climbed(workspace)
    (tmp_path / "report.html").write_text(make.drawn(make.made(workspace.database, held, 30), held), encoding="utf-8")
    workspace.database.close()
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"file://{tmp_path / 'report.html'}")
    said = [each for each in Axe().run(page).response["violations"] if each["impact"] in ("serious", "critical")]
    assert [(each["id"], each["nodes"][0]["html"][:200]) for each in said] == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    context.close()
