"""What proved true, and what was erased, on Insights, Find and Queue."""

from datetime import UTC, datetime

from sqlalchemy import select

from app.workspace import Workspace
from db.tables import ItemKey
from retrain import erasing
from review_queue import projects, truths
from review_queue.truths import Told
from tests import factories
from tests.browser import filling
from tests.ui.conftest import Screen
from tests.ui.test_screens import OFF, html


def names(workspace: Workspace) -> list[str]:
    return workspace.database.read(lambda s: list(s.scalars(select(ItemKey.external_id).order_by(ItemKey.item_id))))


def test_insights_say_who_was_right_once_something_proved_true(workspace: Workspace, screen: Screen) -> None:
    filling.table(workspace, 4, False, **OFF)
    assert "What proved true" not in html(screen("insights", section="Model"))
    held = workspace.database.read(projects.everything)[0]
    told = [Told(name, "pay", datetime(2026, 1, 5, tzinfo=UTC), "chargeback") for name in names(workspace)]
    workspace.database.write(truths.keep, held, told, by=None)
    drawn = html(screen("insights", section="Model"))
    assert "Who was right, by what later proved true" in drawn
    assert f"truly {held.project.title_of('pay')} <small>4</small>" in drawn
    assert "of 4 (" in drawn


def test_an_erased_case_says_so_and_no_page_breaks(workspace: Workspace, screen: Screen) -> None:
    filling.table(workspace, 4, False, **OFF)
    held = workspace.database.read(projects.everything)[0]
    first, second = names(workspace)[:2]
    workspace.database.write(truths.keep, held, [Told(first, "pay", datetime(2026, 1, 5, tzinfo=UTC))], by=None)
    olga = factories.person(workspace.database, "olga", "owner")
    workspace.database.write(erasing.begin, held, [first, second], why="article 17 <b>", by=olga)
    found = screen("find", id=first)
    assert "by olga: article 17 &lt;b&gt;. What was decided of it stays." in html(found)
    assert "What proved true" in html(found)
    for name in ("queue", "review", "insights", "data", "models"):
        assert not screen(name).exception
