"""Projects, stats, freezing, jobs and datasets over HTTP."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from db.engine import Database
from db.tables import Activity
from retrain import datasets
from review_queue import clock, jobs, projects
from review_queue.projects import Setting
from tests import factories
from tests.api.conftest import Api, MakeKey, problem

Key = dict[str, str]


def test_projects_are_listed_with_what_an_item_needs(api: Api, held: Setting, producer: Key) -> None:
    found = api.get("/projects", producer).json()["projects"][0]
    assert (found["project"], found["input_type"]) == ("claims", "tabular")
    assert found["features"] == {"amount": "number", "region": "category", "opened": "date"}
    assert [label["label"] for label in found["labels"]] == ["deny", "pay"]


def test_stats_count_with_their_denominators(api: Api, database: Database, held: Setting, reader: Key) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.97), "2": factories.says("pay", 0.6)})
    found = api.get("/projects/claims/stats", reader).json()
    assert found["backlog"]["waiting"] == 1
    assert found["totals"] == {"items": 2, "outcomes_auto": 1}
    assert found["insight"]["automation"] == {"part": 1, "of": 2, "value": 0.5}
    assert found["insight"]["override"]["value"] is None
    figures = ("open", "held", "parked", "stuck", "overdue", "soon_due")
    assert {name: found["backlog"][name] for name in figures} == dict(zip(figures, (1, 0, 0, 0, 0, 0), strict=True))
    assert (found["insight"]["whole"], found["insight"]["decisions"]) == (True, 0)
    assert found["insight"]["agreement"]["kappa"] is None


def test_dataset_versions_come_in_pages(api: Api, database: Database, held: Setting, reader: Key) -> None:
    made = [
        database.write(datasets.add_base, held, [{"external_id": f"{n}", "input": {}, "label": "pay", "split": "train"}], by=None)
        for n in range(3)
    ]
    first = api.get("/projects/claims/datasets", reader, limit=2).json()
    assert [each["id"] for each in first["datasets"]] == [str(made[2].id), str(made[1].id)]
    rest = api.get("/projects/claims/datasets", reader, limit=2, before=first["next"]).json()
    assert ([each["id"] for each in rest["datasets"]], rest["next"]) == ([str(made[0].id)], None)
    problem(api.get("/projects/claims/datasets", reader, limit=0), 422, "invalid")


def test_a_freeze_sends_all_to_people_until_it_is_lifted(api: Api, database: Database, held: Setting, key: MakeKey) -> None:
    lead, owner = key("lea", "admin", role="lead"), key("olga", "admin", role="owner")
    assert api.post("/projects/claims/freeze", None, lead).json() == {"project": "claims", "frozen": True, "changed": True}
    assert api.post("/projects/claims/freeze", None, lead).json()["changed"] is False
    frozen = database.read(projects.get, "claims")
    assert factories.routed(database, frozen, {"1": factories.says("pay", 0.99)}).review == 1
    assert "owners" in problem(api.post("/projects/claims/unfreeze", None, lead), 409, "refused")["detail"]
    assert api.post("/projects/claims/unfreeze", None, owner).json()["changed"] is True
    verbs = database.read(lambda s: [a.verb for a in s.scalars(select(Activity)) if a.via == "api"])
    assert verbs == ["autonomy.freeze", "autonomy.propose", "autonomy.sign", "autonomy.unfreeze"]


def test_jobs_are_asked_for_and_followed(api: Api, database: Database, held: Setting, key: MakeKey) -> None:
    admin = key("olga", "admin", role="owner")
    asked = api.post("/jobs", {"project": "claims", "kind": "train", "args": {"trainer": "sklearn-hgb"}}, admin)
    assert asked.status_code == 202
    job = asked.json()
    assert (job["state"], job["project"], job["args"]) == ("waiting", "claims", {"trainer": "sklearn-hgb"})
    assert asked.headers["location"].endswith(f"/v1/jobs/{job['id']}")
    leased = database.write(jobs.lease, "w")
    assert leased is not None
    database.write(jobs.finish, leased.id, "w", result={"model": 2})
    assert api.get(f"/jobs/{job['id']}", admin).json()["result"] == {"model": 2}
    assert "done already" in problem(api.post(f"/jobs/{job['id']}/cancel", None, admin), 422, "invalid")["detail"]
    second = api.post("/projects/claims/datasets", {"format": "csv"}, admin).json()
    assert (second["kind"], second["args"]) == ("export", {"format": "csv"})
    assert api.post(f"/jobs/{second['id']}/cancel", None, admin).json()["state"] == "cancelled"
    assert [j["id"] for j in api.get("/jobs", admin, project="claims").json()["jobs"]] == [second["id"], job["id"]]
    assert len(api.get("/jobs", admin, limit=1).json()["jobs"]) == 1


def test_the_next_model_is_asked_for_once_at_a_time(api: Api, held: Setting, key: MakeKey) -> None:
    admin = key("olga", "admin", role="owner")
    asked = api.post("/jobs", {"project": "claims", "kind": "retrain", "args": {"weights": "sqrt"}}, admin)
    assert (asked.status_code, asked.json()["args"]) == (202, {"weights": "sqrt"})
    again = problem(api.post("/jobs", {"project": "claims", "kind": "retrain"}, admin), 409, "refused")
    assert f"job {asked.json()['id']} is at it already" in again["detail"]
    assert api.post("/jobs", {"project": "claims", "kind": "gate", "args": {"challenger": 2}}, admin).status_code == 202


def test_jobs_that_make_no_sense_are_refused(api: Api, held: Setting, key: MakeKey) -> None:
    admin = key("olga", "admin", role="owner")
    wrong = [
        ({"project": "claims", "kind": "explode"}, "body.kind"),
        ({"project": "claims", "kind": "known-answers"}, "body.kind"),
        ({"project": "claims", "kind": "compare"}, "challenger"),
        ({"project": "claims", "kind": "gate"}, "gate needs args.challenger"),
        ({"project": "claims", "kind": "gate", "args": {"challenger": 2, "weights": "full"}}, "gate takes no weights"),
        ({"project": "claims", "kind": "retrain", "args": {"weights": "heavy"}}, "body.args.weights"),
        ({"project": "claims", "kind": "compare", "args": {"challenger": 2**70}}, "challenger"),
        ({"project": "claims", "kind": "train", "args": {"format": "csv"}}, "takes no format"),
        ({"project": "claims", "kind": "train", "args": {"trainer": "magic"}}, "body.args.trainer"),
        ({"kind": "train"}, "body.project"),
    ]
    for body, words in wrong:
        assert words in problem(api.post("/jobs", body, admin), 422, "invalid")["detail"]
    problem(api.post("/jobs", {"project": "clams", "kind": "train"}, admin), 404, "not_found")
    problem(api.get("/jobs", admin, project="a\x00"), 404, "not_found")
    problem(api.get("/jobs/999", admin), 404, "not_found")
    problem(api.post("/projects/claims/datasets", {"format": "xlsx"}, admin), 422, "invalid")


def test_datasets_are_listed_and_their_files_taken_out_on_record(
    api: Api, database: Database, held: Setting, ann: Key, reader: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("retrain.datasets")
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    assert api.decide(api.take(ann)[0], ann).status_code == 201
    present = clock.now
    monkeypatch.setattr(clock, "now", lambda: present() + timedelta(seconds=16))
    info = datasets.export(database, held, format="csv", by=None)
    listed = api.get("/projects/claims/datasets", reader).json()["datasets"]
    assert [each["id"] for each in listed] == [str(info.id)]
    one = api.get(f"/datasets/{info.id}", reader).json()
    assert one == listed[0]
    file = next(each for each in one["files"] if each["name"].startswith("data"))
    got = api.client.get(f"/api/{file['url']}", headers=reader)
    assert (got.status_code, len(got.content)) == (200, file["size"])
    assert got.headers["content-disposition"].startswith("attachment")
    assert "1" in got.text
    act = database.read(lambda s: s.scalars(select(Activity).where(Activity.verb == "dataset.download")).one())
    assert (act.subject, act.after, act.project_id) == (f"dataset:{info.id}", {"file": file["name"]}, held.id)
    for name in ("nothing", "../data.csv", "a%00b"):
        problem(api.get(f"/datasets/{info.id}/files/{name}", reader), 404, "not_found")
    problem(api.get("/datasets/999", reader), 404, "not_found")


def test_an_unknown_project_is_named(api: Api, held: Setting, reader: dict[str, str]) -> None:
    assert "known: claims" in problem(api.get("/projects/clams/stats", reader), 404, "not_found")["detail"]
    for name in ("a%00b", "%ED%A0%80", "UPPER", "x" * 500):
        problem(api.get(f"/projects/{name}/stats", reader), 404, "not_found")


def test_known_answers_are_not_taken_out(api: Api, database: Database, held: Setting, reader: Key) -> None:
    info = database.write(datasets.add_answers, held, {"1": "pay"}, by=None)
    assert [d["kind"] for d in api.get("/projects/claims/datasets", reader).json()["datasets"]] == ["answers"]
    refused = problem(api.get(f"/datasets/{info.id}/files/{next(iter(info.files))}", reader), 404, "not_found")
    assert "known answers" in refused["detail"]
