"""Versions as applied, and what may not be applied."""

from typing import Any

import pytest
from sqlalchemy import func, select

from contract.project import Project
from db.engine import Database
from db.tables import Activity, Item, PolicyVersion, ProjectVersion
from review_queue import batches, decisions, projects
from review_queue.decisions import Said
from review_queue.errors import NotFound, NotYet, Refused
from review_queue.projects import Applied
from tests import factories
from tests.review_queue.acting import take


def apply(database: Database, wanted: Project | None = None, guidelines: str = "Read the file.", **policy: Any) -> Applied:
    key = factories.keys(database).draw_key_id
    return database.write(projects.apply, wanted or factories.project(), factories.policy(**policy), guidelines, key, by=None)


def features(**changes: Any) -> dict[str, Any]:
    kept = {
        "amount": {"type": "number", "unit": "EUR"},
        "region": {"type": "category"},
        "opened": {"type": "date", "optional": True},
    }
    return {"type": "tabular", "groups": ["sex"], "features": {**kept, **changes}}


def test_versions_are_kept_and_going_back_takes_the_old_one(database: Database) -> None:
    first = apply(database)
    assert (first.project_changed, first.policy_changed) == (True, True)
    assert apply(database) == Applied(False, False, first.setting)
    second = apply(database, factories.project(title="Other"))
    assert (second.project_changed, second.policy_changed) == (True, False)
    back = apply(database)
    assert (back.project_changed, back.setting.project_version_id) == (True, first.setting.project_version_id)
    strict = apply(database, audit={"rate": 0.5})
    assert (strict.project_changed, strict.policy_changed) == (False, True)
    assert apply(database).setting.policy_version_id == first.setting.policy_version_id
    counts = [
        database.read(lambda s, t=t: s.scalar(select(func.count()).select_from(t))) for t in (ProjectVersion, PolicyVersion)
    ]
    assert counts == [2, 2]
    acts = database.read(lambda s: list(s.scalars(select(Activity.after).where(Activity.verb == "project.apply"))))
    assert len(acts) == 5
    assert acts[1] == {"project": True, "policy": False}


def test_guidelines_and_the_order_of_labels_are_content(sqlite: Database) -> None:
    apply(sqlite)
    assert apply(sqlite, guidelines="Read it twice.").project_changed
    turned = apply(sqlite, factories.project(labels={"pay": {"key": "y"}, "deny": {"key": "d"}}), guidelines="Read it twice.")
    assert turned.project_changed
    assert list(sqlite.read(projects.get, "claims").project.labels) == ["pay", "deny"]


def test_what_is_applied_reads_back_whole(sqlite: Database) -> None:
    wanted = factories.project(labels={"zebra": {"title": "Z"}, "ape": {}}, timezone="Europe/Berlin")
    wished = factories.policy(review={"due": "4h", "lease": "1234567s"}, calendar={"days": "mon-fri", "hours": "9-17"})
    sqlite.write(projects.apply, wanted, wished, "G", factories.keys(sqlite).draw_key_id, by=None)
    held = sqlite.read(projects.get, "claims")
    assert (held.project, held.policy, held.guidelines) == (wanted, wished, "G")
    assert sqlite.read(projects.everything) == [held]
    assert sqlite.read(projects.version_body, held.project_version_id) == (wanted, "G")


@pytest.mark.parametrize(
    ("uri", "mend"),
    [
        ("model.onnx", "signoff model add model.onnx --project claims --sample FILE`, then write registry:claims@champion"),
        ("python:score.py:score", "signoff model add python:score.py:score --project claims"),
        ("mlflow:models:/x@prod", "signoff model add mlflow:models:/x@prod --project claims"),
        ("registry:other@champion", "write registry:claims@champion"),
        ("oip:http://host/v2/models/x", "write `uri: external`"),
    ],
)
def test_what_is_not_there_yet_says_so(sqlite: Database, uri: str, mend: str) -> None:
    wanted = factories.project().model_copy(update={"model": factories.project().model.model_copy(update={"uri": uri})})
    with pytest.raises(NotYet, match="is not served yet") as refused:
        apply(sqlite, wanted)
    assert mend in str(refused.value)
    with pytest.raises(NotFound, match="known: none yet"):
        sqlite.read(projects.get, "claims")


def test_a_label_with_open_tasks_stays_and_goes_when_they_are_decided(database: Database) -> None:
    held = factories.setting(database, factories.project(labels=["deny", "pay", "ask"]))
    three = ("deny", "pay", "ask")
    factories.routed(database, held, {str(n): factories.says("pay", 0.6, three) for n in range(2)})
    fewer = factories.project(labels=["deny", "pay"])
    with pytest.raises(Refused, match="'ask' cannot go while 2 tasks are open"):
        apply(database, fewer)
    ann = factories.person(database, "ann")
    for case in take(database, held, ann, 2):
        database.write(decisions.decide, ann, case.task_id, case.token, Said(f"k{case.task_id}", "correct", "ask"))
    assert apply(database, fewer).project_changed


def test_types_stay_and_new_features_are_optional(sqlite: Database) -> None:
    held = factories.setting(sqlite)
    apply(sqlite, factories.project(input=features(extra={"type": "number"})))  # nobody has sent an item yet
    apply(sqlite)
    factories.submit(sqlite, held, [factories.raw("1")])
    with pytest.raises(Refused, match="'amount' cannot turn from number to text: 1 items"):
        apply(sqlite, factories.project(input=features(amount={"type": "text"})))
    with pytest.raises(Refused, match="'extra' must be `optional: true`"):
        apply(sqlite, factories.project(input=features(extra={"type": "number"})))
    renamed = features()
    renamed["features"]["area"] = {"type": "text", "was": "region"}
    del renamed["features"]["region"]
    with pytest.raises(Refused, match="'area' cannot turn from category to text"):
        apply(sqlite, factories.project(input=renamed))


def test_a_renamed_feature_does_not_stand_in_the_way_of_later_changes(sqlite: Database) -> None:
    held = factories.setting(sqlite)
    factories.submit(sqlite, held, [factories.raw("1")])
    renamed = features()
    renamed["features"]["area"] = {"type": "category", "was": "region"}
    del renamed["features"]["region"]
    apply(sqlite, factories.project(input=renamed))
    assert apply(sqlite, factories.project(input=renamed, title="Later")).project_changed
    with pytest.raises(Refused, match="cannot turn"):
        apply(
            sqlite,
            factories.project(input={**renamed, "features": {**renamed["features"], "area": {"type": "text", "was": "region"}}}),
        )


def test_an_optional_feature_leaves_waiting_items_valid(database: Database) -> None:
    held = factories.setting(database)
    factories.submit(database, held, [factories.raw("1"), factories.raw("2")])
    wider = apply(database, factories.project(input=features(extra={"type": "number", "optional": True}))).setting
    again = factories.submit(database, wider, [factories.raw("1")])[0]
    assert (again.state, again.new) == ("received", False)  # the same item sent again is the same item
    assert factories.submit(database, wider, [factories.raw("1", extra=5)])[0].state == "conflict"
    leased = database.write(batches.lease, wider.id, "score", "w", limit=9, seconds=60)
    assert [item.input for item in leased] == [{"amount": 120.5, "opened": None, "region": "north"}] * 2
    factories.submit(database, wider, [factories.raw("3", extra=5)])
    versions = database.read(lambda s: list(s.scalars(select(Item.project_version_id).order_by(Item.id))))
    assert versions == [held.project_version_id] * 2 + [wider.project_version_id]


@pytest.mark.parametrize("name", ["clams", "claims\x00"])
def test_unknown_projects_are_told_with_the_known(database: Database, name: str) -> None:
    apply(database)
    with pytest.raises(NotFound, match="known: claims"):
        database.read(projects.get, name)
