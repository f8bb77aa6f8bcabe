"""The numbers of Insights as files: who gets them, what is in them, and that it is noted."""

import asyncio
import csv
import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select
from starlette.applications import Starlette

from app.ui import look, takeaway
from app.ui.door import Door
from app.workspace import Workspace
from db.engine import Database
from db.tables import Activity
from review_queue import decisions, members, people, periods
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import NotFound
from review_queue.projects import Setting
from tests import factories
from tests.browser import filling
from tests.review_queue.acting import take

ODD = "=cmd|'/c calc'!A1"


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    held = filling.workspace(tmp_path / "desk")
    yield held
    held.database.close()


def ask(workspace: Workspace, path: str, *, local: bool = True) -> httpx.Response:
    async def work() -> httpx.Response:
        app = Starlette(routes=takeaway.routes(Door(workspace, local=local)))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as http:
            return await http.get(path)

    return asyncio.run(work())


def rows(body: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body)))


def decided(database: Database, held: Setting, actor: Actor, *labels: str) -> None:
    """Answer a case of each label, all predicted to be paid."""
    factories.routed(database, held, {f"{label}-{n}": factories.says("pay", 0.6 + n / 50) for n, label in enumerate(labels)})
    while cases := take(database, held, actor):
        case = cases[0]
        label = case.external_id.partition("-")[0]
        said = Said(f"k{case.task_id}", "accept" if label == "pay" else "correct", None if label == "pay" else label, seconds=30)
        database.write(decisions.decide, actor, case.task_id, case.token, said)


def test_a_file_has_the_numbers_of_the_picture_and_is_noted(database: Database) -> None:
    held, ann = factories.setting(database), factories.person(database, "ann")
    decided(database, held, ann, "pay", "pay", "deny")
    factories.routed(database, held, {"alone": factories.says("pay", 0.95)})
    name, body = database.write(takeaway.take, "claims", "automation", "7 days", None, None, ann)
    period = periods.latest(7)
    assert name == f"claims-automation-{period.first}-{period.last}.csv"
    last = rows(body)[-1]
    assert (last["to"], last["alone"], last["routed claims"], last["share"]) == (str(period.last), "1", "4", "0.25")
    assert 0.04 < float(last["low"]) < 0.25 < float(last["high"]) < 0.75
    noted = database.read(lambda s: s.scalar(select(Activity).where(Activity.verb == "insights.take")))
    assert noted is not None
    assert (noted.subject, noted.actor_id, noted.project_id) == ("figure:automation", ann.id, held.id)
    assert noted.after == {"figure": "automation", "from": str(period.first), "to": str(period.last)}


def test_every_figure_has_its_file(database: Database) -> None:
    held, ann = factories.setting(database), factories.person(database, "ann")
    for figure in look.NAMES:
        assert database.read(look.table, held, periods.latest(30), figure).name == figure
        assert database.write(takeaway.take, held.name, figure, None, None, None, ann)[1].count("\r\n") >= 1
    decided(database, held, ann, *["pay"] * 6, "deny", "deny")
    found = {figure: rows(database.write(takeaway.take, held.name, figure, None, None, None, ann)[1]) for figure in look.NAMES}
    assert all(found.values())
    assert found["override"][-1]["overridden"] == "2"
    assert found["decided"][-1]["decided by people"] == "8"
    assert (found["pace"][-1]["timed decisions"], found["pace"][-1]["decisions an hour"]) == ("8", "120")
    assert found["backlog"][-1]["open tasks"] == "0"
    assert found["waits"][-1]["items"] == "8"
    assert sum(int(row["cases"]) for row in found["reliability"]) == 8
    assert found["risk"][-1]["wrong"] == "0.25"
    assert [(row["predicted"], row["answer"], row["cases"]) for row in found["confusion"]] == [
        ("pay", "deny", "2"),
        ("pay", "pay", "6"),
    ]


def test_a_label_is_never_run_as_a_formula(database: Database) -> None:
    held = factories.setting(database, factories.project(labels={ODD: {}, "pay": {}}))
    ann = factories.person(database, "ann")
    factories.routed(database, held, {"1": factories.says(ODD, 0.6, (ODD, "pay"))})
    case = take(database, held, ann)[0]
    database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
    (row,) = rows(database.write(takeaway.take, held.name, "confusion", None, None, None, ann)[1])
    assert row["predicted"] == row["answer"] == f"'{ODD}"


def test_over_http_it_is_a_file(workspace: Workspace) -> None:
    filling.table(workspace, 2, False)
    found = ask(workspace, "/csv/claims/automation?period=30+days")
    assert found.status_code == 200
    assert found.headers["content-type"] == "text/csv; charset=utf-8"
    assert found.headers["content-disposition"].startswith('attachment; filename="claims-automation-')
    assert found.headers["cache-control"] == "no-store"
    assert len(rows(found.text)) == 30


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/csv/claims/automatic", 404, "there is no figure 'automatic'"),
        ("/csv/nowhere/automation", 404, "no project 'nowhere'"),
        ("/csv/claims/automation?period=soon", 400, "'soon' is no period"),
        ("/csv/claims/automation?from=x", 400, "'x' is no day"),
        ("/csv/claims/automation?from=2026-03-02&to=2026-03-01", 400, "is after 2026-03-01"),
    ],
)
def test_what_cannot_be_given_says_why(workspace: Workspace, path: str, status: int, said: str) -> None:
    filling.table(workspace, 1, False)
    found = ask(workspace, path)
    assert (found.status_code, said in found.text) == (status, True), found.text


def test_it_is_for_those_who_see_the_page(workspace: Workspace) -> None:
    filling.table(workspace, 1, False)
    workspace.database.write(people.add_person, "ann", role="viewer", password="a long password")
    assert ask(workspace, "/csv/claims/automation", local=False).status_code == 401
    assert ask(workspace, "/csv/claims/automation").status_code == 401


def test_a_closed_project_is_as_if_there_were_none(database: Database) -> None:
    held = factories.setting(database)
    factories.setting(database, factories.project(project="other"))
    factories.person(database, "ann")
    database.write(members.everywhere, "ann", False)
    database.write(members.grant, "ann", "other")
    ann = database.read(people.actor, database.read(people.account, "ann").id, "desk")
    assert ann is not None
    with pytest.raises(NotFound, match="no project"):
        database.write(takeaway.take, held.name, "automation", None, None, None, ann)
    assert database.write(takeaway.take, "other", "automation", None, None, None, ann)[0].startswith("other-automation-")
