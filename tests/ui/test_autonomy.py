"""The page Autonomy: what it says of a project, who may do what on it, and what it never shows."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.ui import reports, takeaway
from app.ui.draw import autonomy as drawn
from app.ui.screens import autonomy as page
from app.workspace import Workspace, local_name
from db.tables import Activity, Job, Person
from review_queue import autonomy, clock, jobs, notices, people, permits, projects, steps
from review_queue.activity import Actor
from review_queue.errors import NotFound
from review_queue.projects import Setting
from tests import factories
from tests.review_queue import earning
from tests.ui.conftest import Screen
from tests.ui.test_screens import button, html


def buttons(at: Any) -> list[str]:
    return [each.key.rstrip("0123456789") for each in at.button]


def become(workspace: Workspace, role: str) -> None:
    def change(session: Any) -> None:
        session.scalars(select(Person).where(Person.name == local_name())).one().role = role

    workspace.database.write(people.local_actor, local_name(), "desk")
    workspace.database.write(change)


def ready(workspace: Workspace, **policy: Any) -> Setting:
    """A project whose one unit may rise: 200 answers, none of them wrong."""
    held = earning.earned(workspace.database, **policy)
    earning.traffic(workspace.database, held, 200)
    return held


def owner(workspace: Workspace) -> Actor:
    return workspace.database.write(people.local_actor, local_name(), "desk")


def test_not_enough_is_said_plainly_and_nothing_can_be_raised(workspace: Workspace, screen: Screen) -> None:
    held = earning.earned(workspace.database)
    earning.traffic(workspace.database, held, 30)
    at = screen("autonomy")
    said = html(at)
    assert "Nothing acts alone: every case goes to people, since not enough is proven yet." in said
    assert "not enough" in said
    assert "30 <small>of 80</small>" in said
    assert not [name for name in buttons(at) if name.startswith("raise-")]
    assert not at.exception


def test_a_rise_is_raised_by_an_owner_after_being_asked(workspace: Workspace, screen: Screen) -> None:
    held = ready(workspace)
    at = screen("autonomy")
    assert "every condition is met" in html(at)
    button(at, "raise-").click().run()
    assert workspace.database.read(steps.latest, held.id) == []
    button(at, "raise--yes").click().run()
    (step,) = workspace.database.read(steps.latest, held.id)
    assert (step.state, step.to_level, step.signed_by) == ("applied", "audited", (local_name(),))
    said = html(at)
    assert "Acts alone, as far as checked answers prove" in said
    assert "Asked 0.3, granted 0.3." in said
    button(at, "lower-").click().run()
    button(at, "lower--yes").click().run()
    permit = workspace.database.read(permits.read, held.id)
    assert permit is not None
    assert not any(each.acts for each in permit.units.values())


def test_where_two_sign_the_offer_waits_and_nobody_signs_who_is_not_vouched_for(workspace: Workspace, screen: Screen) -> None:
    held = ready(workspace, evidence={"signers": 2})
    ann = factories.person(workspace.database, "ann", "owner")
    step = workspace.database.write(autonomy.raise_unit, held, "", by=ann, draw_key_id=workspace.keys.draw_key_id)
    at = screen("autonomy")
    assert "by ann; signed by nobody yet, 0 of 2" in html(at)
    assert "Nothing acts alone" in html(at)
    button(at, f"sign-step-{step.id}").click().run()
    button(at, f"sign-step-{step.id}-yes").click().run()
    assert "2 people sign here" in html(at)
    assert workspace.database.read(steps.step, step.id).signed_by == ()
    button(at, f"withdraw-{step.id}").click().run()
    button(at, f"withdraw-{step.id}-yes").click().run()
    assert workspace.database.read(steps.step, step.id).state == "withdrawn"
    assert "Withdrawn." in html(at)


@pytest.mark.parametrize(("role", "may"), [("viewer", set()), ("reviewer", set()), ("lead", {"freeze", "shadow", "report"})])
def test_below_owner_nothing_can_be_raised(workspace: Workspace, screen: Screen, role: str, may: set[str]) -> None:
    ready(workspace)
    become(workspace, role)
    at = screen("autonomy")
    assert {name.rpartition("-")[2] for name in buttons(at)} <= may | {"make"}
    assert not [name for name in buttons(at) if name.startswith(("raise-", "sign-", "withdraw-", "regrant"))]
    assert "every condition is met" in html(at)


def test_under_set_it_says_what_earned_would_allow(workspace: Workspace, screen: Screen) -> None:
    held = factories.setting(
        workspace.database,
        wished=factories.policy(audit={"rate": 1.0}, evidence={"max_error": 0.05, "most_missed": 0}),
    )
    earning.traffic(workspace.database, held, 150)
    said = html(screen("autonomy"))
    assert "Acts alone, as the policy says" in said
    assert "What earned autonomy would let act alone now is all cases from 0.9" in said
    assert "so-ladder" not in said


def test_many_units_stand_in_a_table_and_one_in_full(workspace: Workspace, screen: Screen) -> None:
    held = earning.earned(workspace.database, evidence={"by_label": True, "segments": {"north": "region == 'north'"}})
    earning.traffic(workspace.database, held, 20)
    at = screen("autonomy")
    said = html(at)
    assert "Whose evidence" in said
    assert said.count("so-ladder") == 1
    (choice,) = [each for each in at.selectbox if each.key == "autonomy-unit"]
    assert len(choice.options) == 4


def test_a_project_without_a_model_says_so(workspace: Workspace, screen: Screen) -> None:
    key = workspace.keys.draw_key_id
    workspace.database.write(projects.apply, factories.project(), factories.policy(), "", key, by=None)
    at = screen("autonomy")
    assert "no model acts yet" in html(at)
    assert not at.exception


def test_history_has_steps_numbers_names_notices_and_a_picture(workspace: Workspace, screen: Screen) -> None:
    held = ready(workspace)
    workspace.database.write(autonomy.raise_unit, held, "", by=owner(workspace), draw_key_id=workspace.keys.draw_key_id)
    workspace.database.write(notices.open_notice, held.id, "drift", "amount", "amount moved <b>up</b>.")
    at = screen("autonomy", section="History")
    said = html(at)
    names = ("assist → audited", local_name(), "200 looked at", "E ", "Threshold granted", "amount moved &lt;b&gt;up&lt;/b&gt;.")
    for each in names:
        assert each in said
    assert not at.exception


def test_steps_are_a_file_with_every_number(workspace: Workspace) -> None:
    held = ready(workspace)
    step = workspace.database.write(autonomy.raise_unit, held, "", by=owner(workspace), draw_key_id=workspace.keys.draw_key_id)
    name, body = workspace.database.write(takeaway.take, held.name, "steps", None, None, None, owner(workspace))
    assert name.startswith("claims-steps-")
    head, row = body.strip().split("\r\n")
    assert head.startswith("made,whose,kind,from level,to level,cause,numbers,E,alpha,delta,signed by")
    assert f"{step.grounds.alpha:.10g},{step.grounds.delta:.10g},{local_name()},1,applied,{step.code_version}" in row


def test_the_picture_has_a_gap_where_nothing_acted(workspace: Workspace) -> None:
    held = ready(workspace)
    by, key = owner(workspace), workspace.keys.draw_key_id
    workspace.database.write(autonomy.raise_unit, held, "", by=by, draw_key_id=key)
    workspace.database.write(autonomy.lower, held, by=by, draw_key_id=key)
    found = workspace.database.read(steps.latest, held.id)
    zone = held.project.zone
    chart = drawn.granted(found, "", clock.now() + timedelta(days=1), zone)
    assert chart is not None
    assert [row[1:] for row in chart.table.rows] == [("audited", 0.3, 0.25), ("assist", None, None)]
    assert "assist" in chart.aloud
    assert drawn.granted(found, "other", clock.now(), zone) is None


def test_a_report_is_asked_for_here_and_taken_by_its_address(workspace: Workspace, screen: Screen) -> None:
    held = ready(workspace)
    at = screen("autonomy")
    button(at, "report-make").click().run()
    (job,) = workspace.database.read(lambda s: list(s.scalars(select(Job))))
    assert (job.kind, job.args) == ("report", {"days": page.REPORT_DAYS[1]})
    assert "waits for a worker" in html(at)
    from app.report import make

    result = make.kept(workspace.database, held, 30, lambda share, step: None)

    def end(session: Any) -> None:
        row = session.get_one(type(job), job.id)
        row.state, row.result = "done", result

    workspace.database.write(end)
    name, body = workspace.database.write(reports.take, held.name, job.id, owner(workspace))
    assert name.endswith(".html")
    assert body.startswith(b"<!DOCTYPE html>")
    act = workspace.database.read(lambda s: s.scalar(select(Activity).where(Activity.verb == "report.take")))
    assert act is not None
    assert act.subject == f"job:{job.id}"


def test_a_report_of_another_project_is_as_if_there_were_none(workspace: Workspace) -> None:
    held = ready(workspace)
    other = factories.setting(workspace.database, factories.project(project="other"))
    by = owner(workspace)
    job = workspace.database.write(jobs.ask, held.id, "report", {}, by=by)
    export = workspace.database.write(jobs.ask, held.id, "export", {}, by=by)
    for project, number in ((other.name, job.id), (held.name, job.id), (held.name, export.id), (held.name, 999)):
        with pytest.raises(NotFound):
            workspace.database.write(reports.take, project, number, by)
