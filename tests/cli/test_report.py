"""`signoff report`: one file, or one JSON document, noted in the log."""

from pathlib import Path

import pytest
from sqlalchemy import select

from app.workspace import Workspace
from db.tables import Activity
from review_queue import periods, projects
from tests import factories
from tests.cli.conftest import Signoff


@pytest.fixture(autouse=True)
def _place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SIGNOFF_SECRET_KEY", factories.SECRET)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _filled(_place: None, claims: Signoff, workspace: Workspace) -> None:
    held = workspace.database.read(projects.get, "claims")
    workspace.database.write(factories.champion, held, workspace.keys.draw_key_id)
    factories.routed(workspace.database, held, {"a": factories.says("pay", 0.99), "b": factories.says("pay", 0.6)})


def test_it_is_written_where_it_is_wanted_and_noted(claims: Signoff, workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "held.html"
    assert f"{file}: what acted alone" in claims("report", "--out", str(file), "--days", "7").stdout
    drawn = file.read_text(encoding="utf-8")
    assert drawn.startswith("<!DOCTYPE html>")
    assert "<b>1</b> of 2 claims acted alone (50.0 %)" in drawn
    period = periods.latest(7)
    (noted,) = workspace.database.read(lambda s: list(s.scalars(select(Activity).where(Activity.verb == "report.take"))))
    assert noted.after == {"from": str(period.first), "to": str(period.last)}


def test_without_a_name_the_file_says_project_and_days(claims: Signoff, tmp_path: Path) -> None:
    claims("report")
    period = periods.latest(90)
    assert (tmp_path / f"claims-report-{period.first}-{period.last}.html").is_file()


def test_its_figures_are_one_document(claims: Signoff) -> None:
    found = claims.json("report", "--json")
    assert found["routes"] == {"auto": 1, "review": 1}
    assert (found["overall"]["alone"], found["overall"]["checked"], found["overall"]["share"]) == (1, 0, None)


def test_more_days_than_a_period_has_are_refused(claims: Signoff) -> None:
    assert "a report is on 1 to 1,100 days" in claims.refused("report", "--days", "2000")
