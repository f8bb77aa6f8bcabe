"""`signoff queue`, `item show` and `job`, on routed items."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from app.workspace import Workspace, local_name
from db.tables import Task
from review_queue import cases, clock, decisions, jobs, people, projects, requests
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.projects import Setting
from tests import factories
from tests.cli.conftest import Signoff


@pytest.fixture(autouse=True)
def _known_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNOFF_SECRET_KEY", factories.SECRET)


@pytest.fixture
def setting(claims: Signoff, workspace: Workspace) -> Setting:
    """One claim acts alone, two wait."""
    held = workspace.database.read(projects.get, "claims")
    workspace.database.write(factories.champion, held, workspace.keys.draw_key_id)
    chances = {"sure": factories.says("pay", 0.99), "a": factories.says("pay", 0.6), "b": factories.says("deny", 0.7)}
    factories.routed(workspace.database, held, chances)
    return workspace.database.read(projects.get, "claims")


def takes(workspace: Workspace, setting: Setting, name: str) -> int:
    """Somebody holds the next case; its task."""
    account = workspace.database.write(people.add_person, name, role="reviewer")
    by = Actor(account.id, account.name, account.role, "desk")
    return workspace.database.write(cases.take, setting, by, "s", 1)[0].task_id


def test_stats(claims: Signoff, setting: Setting) -> None:
    (row,) = claims.json("queue", "stats")
    assert (row["project"], row["items"], row["waiting"], row["held"]) == ("claims", 3, 2, 0)
    assert row["oldest"].endswith("+00:00")
    assert claims.json("queue", "stats", "--project", "claims") == [row]
    assert "claims" in claims("queue", "stats").stdout


def test_list_and_release(claims: Signoff, workspace: Workspace, setting: Setting) -> None:
    task = takes(workspace, setting, "anna")
    rows = claims.json("queue", "list")
    assert {row["external_id"] for row in rows} == {"a", "b"}
    assert {row["held_by"] for row in rows} == {"anna", None}
    assert all(isinstance(row["task_id"], str) for row in rows)
    assert len(claims.json("queue", "list", "--limit", "1")) == 1
    assert "anna" in claims("queue", "list").stdout
    assert claims("queue", "release", str(task)).stdout == f"task {task} waits again\n"
    assert "anna" not in claims("queue", "list").stdout
    assert claims.refused("queue", "release", str(task)) == f"nobody holds task {task}"


def test_an_empty_queue(claims: Signoff) -> None:
    assert claims("queue", "list").stdout == "nothing waits\n"
    assert claims.json("queue", "list") == []


def test_item_show(claims: Signoff, setting: Setting) -> None:
    text = claims("item", "show", "a").stdout
    assert text.startswith("claim a: waiting")
    assert "routed to review" in text
    record = claims.json("item", "show", "a")
    assert isinstance(record["item_id"], str)
    (chances,) = record["predictions"].values()
    assert chances["pay"] + chances["deny"] == 1
    assert "answer 1: pay (auto)" in claims("item", "show", "sure").stdout
    assert claims.refused("item", "show", "nothing") == "Motor claims has no claim 'nothing'"


def test_a_blind_case_stays_closed(claims: Signoff, workspace: Workspace, setting: Setting) -> None:
    blind = {"kind": "audit", "blind": True, "rank": 1, "weight": 1.0}
    row = {"item_id": 1, "routing_n": 1, "project_id": setting.id, **blind}
    made_at = workspace.database.read(lambda session: session.get_one(Task, 1).made_at)
    workspace.database.write(lambda session: session.add(Task(**row, made_at=made_at)))
    shown = [claims("item", "show", name, code=None) for name in ("sure", "a", "b")]
    assert sum("waits for a blind answer" in result.stderr for result in shown) == 1


def test_jobs(claims: Signoff, workspace: Workspace, setting: Setting) -> None:
    assert claims("job", "list").stdout == "no job yet\n"
    job = workspace.database.write(jobs.ask, setting.id, "export", {"format": "csv"}, by=workspace.local_actor("cli"))
    (row,) = claims.json("job", "list")
    assert (row["id"], row["kind"], row["state"]) == (str(job.id), "export", "waiting")
    assert "waiting" in claims("job", "list", "--project", "claims").stdout
    assert claims.json("job", "show", str(job.id))["args"] == {"format": "csv"}
    assert "export" in claims("job", "show", str(job.id)).stdout
    claims("job", "cancel", str(job.id))
    assert claims.json("job", "show", str(job.id))["state"] == "cancelled"
    assert "is cancelled already" in claims.refused("job", "cancel", str(job.id))
    assert claims.refused("job", "show", "99") == "there is no job 99"


def test_the_rule_in_force(claims: Signoff, setting: Setting) -> None:
    shown = claims.json("autonomy", "show")
    assert shown["rule"]["thresholds"] == {"pay": 0.9, "deny": 0.9}
    text = claims("autonomy", "show").stdout
    assert re.search(r"every label alone +from max_probability 0\.9", text)
    assert re.search(r"earned would allow +nothing: not enough is proven yet", text)
    assert "amount > 50000" in text
    claims("autonomy", "freeze")
    assert "frozen: everything goes to people" in claims("autonomy", "show").stdout


# What changes after it was sent


def test_items_are_replaced_cancelled_and_looked_at_again(
    claims: Signoff, setting: Setting, files: Path, workspace: Workspace
) -> None:
    file = files / "new.csv"
    file.write_text("claim_id,amount,region\na,5,west\nsure,120.5,north\nfresh,1,east\nbad,x,north\n")
    result = claims("item", "replace", file)
    assert result.stdout == "claims: 2 replaced or new, 1 as they were, 1 rejected\n"
    assert "new.csv.rejected.jsonl" in result.stderr
    assert claims.json("item", "replace", file)["known"] == 3
    record = claims.json("item", "show", "a")
    assert (record["input"]["amount"], record["item_revision"], record["state"]) == (5, 2, "received")
    assert "revision 2" in claims("item", "show", "a").stdout
    assert claims("item", "show", "a", "--revision", "1").stdout.startswith("claim a: replaced")
    assert claims("item", "cancel", "b", "a").stdout == "claim b is cancelled\nclaim a is cancelled\n"
    assert [each["state"] for each in claims.json("item", "cancel", "b", "a")] == ["cancelled"] * 2
    assert claims("item", "show", "b").stdout.startswith("claim b: cancelled, ")
    assert claims.refused("item", "cancel", "nothing") == "Motor claims has no claim 'nothing'"
    said = claims("item", "review", "sure", "--reason", "they complain").stdout
    assert said.startswith("claim sure waits for a look as task ")
    assert claims("item", "review", "sure", "--reason", "again").stdout.endswith("already: they complain\n")
    assert "was cancelled" in claims.refused("item", "review", "b", "--reason", "why")
    assert claims("item", "review", "b", code=2).exit_code == 2


def test_nothing_replaced_is_an_error(claims: Signoff, setting: Setting, files: Path) -> None:
    file = files / "new.csv"
    file.write_text("claim_id,amount,region\na,x,west\n")
    claims("item", "replace", file, code=1)


def test_tasks_are_parked_and_brought_back(claims: Signoff, setting: Setting, workspace: Workspace) -> None:
    assert claims("queue", "list", "--parked").stdout == "nothing is parked\n"
    first, second = (row["task_id"] for row in claims.json("queue", "list"))
    assert claims("queue", "park", first, "--until", "3d", "--note", "a strike").stdout.startswith(
        f"task {first} is parked until 2"
    )
    assert claims("queue", "park", second).stdout == f"task {second} is parked until its item changes\n"
    found = claims.json("queue", "list", "--parked")
    assert [(row["task_id"], row["person"], row["note"]) for row in found] == [(first, None, "a strike"), (second, None, None)]
    assert "a strike" in claims("queue", "list", "--parked").stdout
    assert "is parked" in claims.refused("queue", "park", first)
    assert claims("queue", "unpark", first, second).stdout == f"task {first} waits again\ntask {second} waits again\n"
    assert claims.refused("queue", "unpark", first) == f"task {first} is not parked"
    assert claims.refused("queue", "park", "99", "--until", "3d") == "there is no task 99"
    for until, words in (
        ("soon", "is no moment"),
        ("2020-01-01", "is past"),
        ("2999-01-01T10:00", "more than a year"),
        ("-3d", "no moment"),
    ):
        assert words in claims.refused("queue", "park", first, "--until", until)


# What is late, and what nobody may take


def test_stats_tell_what_is_stuck_and_how_far_people_agree(claims: Signoff, workspace: Workspace, setting: Setting) -> None:
    (row,) = claims.json("queue", "stats")
    assert (row["open"], row["parked"], row["stuck"], row["stuck_by"], row["overdue"], row["soon_due"]) == (2, 0, 0, {}, 0, 0)
    assert row["agreement"] == {
        "agreed": dict.fromkeys(("value", "low", "high")) | {"part": 0, "of": 0},
        "kappa": None,
        "labels": [],
    }
    workspace.database.write(_all_for_leads)
    workspace.database.write(people.disable, local_name())
    text = claims("queue", "stats").stdout
    assert "stuck: 2 × leads' case; nobody here is a lead: `signoff user add NAME --role lead`" in text
    assert {row["why"] for row in claims.json("queue", "list", "--stuck")} == {"leads"}
    assert "leads" in claims("queue", "list", "--stuck").stdout


def test_what_is_overdue_is_listed_alone(claims: Signoff, workspace: Workspace, setting: Setting) -> None:
    assert claims("queue", "list", "--overdue").stdout == "nothing is overdue\n"
    late = clock.now() - timedelta(hours=1)
    workspace.database.write(lambda s: s.execute(update(Task).where(Task.id == 1).values(due_at=late)) and None)
    assert [row["task_id"] for row in claims.json("queue", "list", "--overdue")] == ["1"]
    assert claims.json("queue", "stats")[0]["overdue"] == 1
    assert "one of --overdue, --parked, --stuck and --flagged" in claims("queue", "list", "--overdue", "--stuck", code=2).stderr


def test_a_lead_gives_up_what_nobody_may_take(claims: Signoff, workspace: Workspace, setting: Setting) -> None:
    assert "somebody here may still take task 1" in claims.refused("queue", "drop", "1")
    assert "there is no task 99" in claims.refused("queue", "drop", "99")
    account = workspace.database.write(people.add_person, "anna", role="reviewer")
    by = Actor(account.id, account.name, account.role, "desk")
    case = workspace.database.write(cases.take, setting, by, "s", 1)[0]
    workspace.database.write(decisions.decide, by, case.task_id, case.token, Said("k", "accept"))
    me = workspace.local_actor("cli")
    asked = workspace.database.write(requests.request, setting, case.external_id, "they complain", by=me)
    assert "may still take" in claims.refused("queue", "drop", str(asked.task_id))
    workspace.database.write(decisions.revise, setting, me, case.external_id, Said("mine", "correct", "deny"))
    assert claims.json("queue", "list", "--stuck") == []


def test_the_queue_of_all_projects_is_one_list(claims: Signoff, workspace: Workspace, setting: Setting) -> None:
    other = factories.setting(workspace.database, factories.project(project="other"))
    factories.routed(workspace.database, other, {"z": factories.says("pay", 0.6)})
    assert {row["project"] for row in claims.json("queue", "list")} == {"claims", "other"}
    assert {row["project"] for row in claims.json("queue", "list", "--project", "other")} == {"other"}


def _all_for_leads(session: Session) -> None:
    session.execute(update(Task).values(audience="leads"))


def test_filters_of_the_command_line_are_those_of_the_page(claims: Signoff, workspace: Workspace, setting: Setting) -> None:
    assert [row["external_id"] for row in claims.json("queue", "list", "--where", "label=deny", "-w", "least=0.65")] == ["b"]
    assert claims.json("queue", "list", "-w", "state=held") == []
    assert "nearest is deny" in claims.refused("queue", "list", "-w", "label=denny")
    assert "no NAME=VALUE of a filter" in claims("queue", "list", "-w", "colour=red", code=2).stderr
    assert "takes no --where" in claims("queue", "list", "--stuck", "-w", "label=pay", code=2).stderr
    assert claims("queue", "list", "--flagged").stdout == "nothing is flagged\n"


def test_a_task_is_given_to_somebody_and_made_due(claims: Signoff, workspace: Workspace, setting: Setting) -> None:
    factories.person(workspace.database, "anna")
    task = claims.json("queue", "list")[0]["task_id"]
    assert claims("queue", "assign", task, "--to", "anna").stdout == f"task {task} is anna's to take\n"
    assert claims.json("queue", "list", "-w", "person=anna")[0]["assigned_to"] == "anna"
    assert claims("queue", "assign", task).stdout == f"task {task} is anybody's to take\n"
    assert "no person 'bert'" in claims.refused("queue", "assign", task, "--to", "bert")
    assert claims("queue", "due", task, "--at", "2d").stdout.startswith(f"task {task} is due 20")
    assert claims("queue", "due", task).stdout == f"task {task} is due at no time\n"
    assert "--at 'soon' is no moment" in claims.refused("queue", "due", task, "--at", "soon")


def test_many_are_counted_then_decided_and_taken_back(claims: Signoff, workspace: Workspace, setting: Setting) -> None:
    said = claims("queue", "decide", "accept").stdout
    assert said.startswith("2 would be decided: accept\n")
    assert "with --yes it is done" in said
    assert claims.json("queue", "decide", "accept", "-w", "label=pay")["fit"] == 1
    assert claims("queue", "acts").stdout == "nothing was decided many at a time\n"
    assert claims("queue", "decide", "correct", "--label", "pay", "--yes").stdout == (
        "1 of 1 decided; `signoff queue undo 1` takes them back\n"
    )
    (act,) = claims.json("queue", "acts")
    assert (act["id"], act["verdict"], act["label"], act["done"], act["undone_at"]) == ("1", "correct", "pay", 1, None)
    assert claims("queue", "undo", "1").stdout == "1 taken back, 1 of them before anything had left the house\n"
    assert len(claims.json("queue", "list")) == 2
    assert "no act 7" in claims.refused("queue", "undo", "7")
    assert "needs the label" in claims.refused("queue", "decide", "correct")
