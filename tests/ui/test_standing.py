"""Notices above every page: owners see them and close them, others do not."""

from typing import Any

import pytest
from sqlalchemy import select
from streamlit.testing.v1 import AppTest

from app.workspace import Workspace, local_name
from db.tables import Activity, Person
from review_queue import notices, projects
from review_queue.projects import Setting
from tests.browser import filling
from tests.ui.test_screens import button, html


@pytest.fixture
def held(workspace: Workspace) -> Setting:
    filling.table(workspace, 2, False)
    return workspace.database.read(projects.get, "claims")


def page() -> AppTest:
    def script() -> None:
        from app.ui import resources, standing

        standing.draw(resources.arrive())

    return AppTest.from_function(script, default_timeout=30).run()


def opened(workspace: Workspace, held: Setting, *said: str) -> None:
    for each in said:
        workspace.database.write(notices.open_notice, held.id, "drift", each, f"{each} moved <b>up</b>.")


def test_an_owner_reads_them_and_closes_one_after_being_asked(workspace: Workspace, held: Setting) -> None:
    opened(workspace, held, "amount")
    at = page()
    assert "amount moved &lt;b&gt;up&lt;/b&gt;." in html(at)
    button(at, "close-").click().run()
    assert len(workspace.database.read(notices.standing, held.id)) == 1
    assert "Close it for everybody?" in html(at)
    button(at, "close-1-yes").click().run()
    assert workspace.database.read(notices.standing, held.id) == []
    assert "The notice is closed." in html(at)
    assert "amount moved" not in html(at)
    act = workspace.database.read(lambda s: s.scalar(select(Activity).where(Activity.verb == "notice.close")))
    assert act is not None
    assert act.subject == "notice:1"


def test_of_many_the_newest_stand_there_and_the_others_are_counted(workspace: Workspace, held: Setting) -> None:
    opened(workspace, held, "one", "two", "three", "four", "five")
    said = html(page())
    assert [each in said for each in ("five moved", "three moved", "two moved", "2 more notices")] == [True, True, False, True]


@pytest.mark.parametrize("role", ["viewer", "reviewer", "lead"])
def test_nobody_below_owner_is_told(workspace: Workspace, held: Setting, role: str) -> None:
    opened(workspace, held, "amount")
    page()  # makes the person at this machine

    def become(session: Any) -> None:
        session.scalars(select(Person).where(Person.name == local_name())).one().role = role

    workspace.database.write(become)
    at = page()
    assert "moved" not in html(at)
    assert not at.button
