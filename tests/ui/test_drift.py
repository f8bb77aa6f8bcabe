"""What Insights says of drift: which looks there were, what strayed and how far, and that neither says anything of errors."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, select

from app.ui.draw import drift as strayed
from app.workspace import Workspace
from db.tables import DriftCheck, Model
from review_queue import projects
from review_queue.drift import Kept, Moved
from tests import factories
from tests.browser import filling
from tests.ui.conftest import Screen
from tests.ui.test_screens import html

AT = datetime(2026, 11, 28, 9, tzinfo=UTC)
AMOUNT = Moved("input", "amount", 500, 1e-9, 0.4, 40.0, 0.7, 0.3, True)
REGION = Moved("input", "<b>region</b>", 500, 1e-9, 0.2, "<north>", 0.1, 0.3, True)
LABEL = Moved("score", "label", 500, 0.5, 0.01, "pay", 0.5, 0.51, False)


def drawn(*found: Kept, ordinary: int | None = None, **policy: object) -> str:
    return strayed.section(found, factories.policy(**policy), ordinary, lambda at: at.isoformat())


def test_what_strayed_is_drawn_with_its_shares_and_told_apart_from_errors() -> None:
    said = drawn(Kept(2, 1, 500, (LABEL,), False, AT), Kept(1, 1, 500, (AMOUNT, REGION, LABEL), True, AT))
    assert 'aria-label="before 70' in said
    assert 'aria-label="now 30' in said
    assert "at or below 40" in said
    assert "&lt;b&gt;region&lt;/b&gt;" in said
    assert "&lt;north&gt;" in said
    assert "<td>–</td>" in said
    assert strayed.LIMITS in said


def test_a_first_look_begins_the_comparison() -> None:
    assert "began the comparison" in drawn(Kept(1, 1, 500, (), False, AT))


def test_many_that_strayed_are_counted() -> None:
    assert "and 4 more" in drawn(Kept(1, 1, 500, (AMOUNT,) * 12, True, AT))


@pytest.mark.parametrize(
    ("ordinary", "strange", "told"), [(0, 0.01, True), (None, 0.01, False), (200, 0.01, False), (0, "off", False)]
)
def test_a_model_that_cannot_tell_the_strange_is_named(ordinary: int | None, strange: object, told: bool) -> None:
    assert (strayed.DUMB in drawn(ordinary=ordinary, automate={"at_least": 0.9, "strange": strange})) == told


def test_without_looks_it_says_when_the_first_comes() -> None:
    assert "with 500 cases" in drawn()
    assert "drift: off" in drawn(drift="off")


def test_the_page_shows_them(workspace: Workspace, screen: Screen) -> None:
    filling.table(workspace, 2, False)
    assert "No look yet" in html(screen("insights", section="Model"))
    held = workspace.database.read(projects.everything)[0]
    body = {
        "side": "input",
        "name": "amount",
        "n": 500,
        "p": 0.0,
        "apart": 0.4,
        "at": 40.0,
        "was": 0.7,
        "now": 0.3,
        "alarmed": True,
    }
    model_id = workspace.database.read(lambda s: s.scalars(select(Model.id)).first())
    row = {"project_id": held.id, "model_id": model_id, "first_item_id": 1, "last_item_id": 9, "n": 500, "made_at": AT}
    row |= {"figures": {"moved": [body], "reference": {}}, "alarmed": True}
    workspace.database.write(lambda s: s.execute(insert(DriftCheck).values(row)) and None)
    said = html(screen("insights", section="Model"))
    assert "before 70" in said
    assert strayed.LIMITS in said
