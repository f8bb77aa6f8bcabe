"""Items that bring their predictions, from the request that sends them to the dataset that holds their answers."""

import json
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from app.settings import Settings
from app.worker import loop
from app.worker.models import Models
from app.worker.scoring import Scoring
from app.worker.work import Jobs
from app.workspace import Workspace
from db.engine import Database
from db.tables import Activity, Outbox, Work
from retrain import datasets, registry
from review_queue import claims, clock, events, explanations, jobs, projects
from review_queue.projects import Setting
from tests import elsewhere, factories, real_models
from tests.api.conftest import Api, MakeKey, problem
from tests.elsewhere import VERSION, sent

ITEMS = "/projects/claims/items"
Key = dict[str, str]
WHY = {
    "method": "their TreeSHAP",
    "unit": "log-odds",
    "base": -0.25,
    "contributions": [{"feature": "region", "contribution": -0.5}, {"feature": "amount", "contribution": 1.5}],
}


@pytest.fixture
def held(database: Database) -> Setting:
    return elsewhere.setting(database)


@pytest.fixture
def worker(database: Database, tmp_path: Path) -> Workspace:
    return Workspace(Settings(dir=tmp_path, secret_key=factories.SECRET, device="cpu"), database, factories.keys(database))


def test_from_the_request_to_the_dataset(
    api: Api, database: Database, held: Setting, worker: Workspace, producer: Key, ann: Key, key: MakeKey
) -> None:
    items = [sent("sure", 0.97), sent("unsure", 0.6, reasons=WHY), sent("new", 0.99, "2026-12"), factories.raw("bare")]
    assert [each["state"] for each in api.items(*items, key=producer)] == ["received"] * 4
    loop.run(worker, drain=True, device="cpu")
    stands = {each["external_id"]: each for each in api.items(*items, key=producer)}
    assert {name: (each["state"], each["route"]) for name, each in stands.items()} == {
        "sure": ("decided", "auto"), "unsure": ("waiting", "review"), "new": ("waiting", "review"), "bare": ("waiting", "review"),
    }  # fmt: skip
    assert (stands["sure"]["label"], stands["sure"]["confidence"]) == ("pay", 0.97)
    assert "label" not in stands["bare"]

    taken = {case["external_id"]: case for case in api.take(ann, 3)}
    said = taken["unsure"]["prediction"]
    assert said == {
        "label": "pay", "confidence": 0.6, "probabilities": {"deny": 0.4, "pay": 0.6}, "model_version": VERSION,
        "reason": "confidence 0.600 is below 0.9", "external": True,
    }  # fmt: skip
    (reason,) = taken["unsure"]["explanations"]
    assert (reason["method"], reason["body"]["params"]) == ("producer", {"method": "their TreeSHAP", "model_version": VERSION})
    assert [part["feature"] for part in reason["body"]["contributions"]] == ["amount", "region"]
    assert reason["body"]["quality"] == {}
    assert taken["new"]["prediction"]["model_version"] == "2026-12"
    assert taken["new"]["prediction"]["reason"].startswith("made by version 2026-12, which nobody signed yet")
    assert taken["bare"]["prediction"]["label"] is None
    assert taken["bare"]["prediction"]["reason"] == "not scored: it came without a prediction"

    assert api.decide(taken["unsure"], ann, "a", "accept", reasons_shown=[reason["hash"]]).status_code == 201
    assert api.decide(taken["new"], ann, "b", "accept").status_code == 201
    assert api.decide(taken["bare"], ann, "c", "correct", label="deny").status_code == 201
    later(database)
    table = dataset(database, held)
    assert {row["external_id"]: (row["label"], row["predicted_label"], row["model_version"]) for row in table} == {
        "unsure": ("pay", "pay", VERSION), "new": ("pay", "pay", "2026-12"), "bare": ("deny", None, VERSION),
    }  # fmt: skip
    assert {row["external_id"]: row["confidence"] for row in table} == {"unsure": 0.6, "new": 0.99, "bare": None}
    record = api.get(f"{ITEMS}/new", key("rob", "read", role="owner")).json()
    assert record["predictions"] == {"2026-12": {"deny": pytest.approx(0.01), "pay": 0.99}}
    assert [each["model_version"] for each in record["routings"]] == ["2026-12"]


def later(database: Database) -> None:
    """What time does: the undo window of every answer is over."""
    database.write(lambda s: [setattr(row, "ready_at", clock.now()) for row in s.query(Outbox)])
    while database.write(events.sequence):
        pass


def dataset(database: Database, held: Setting) -> list[dict[str, Any]]:
    info = datasets.export(database, held, format="jsonl", by=None)
    return database.read(lambda s: [json.loads(line) for line in datasets.file(s, info, "data.jsonl").decode().splitlines()])


BAD: list[tuple[dict[str, Any], str]] = [
    ({"probabilities": [0.4, 0.6]}, "a list says of no number whose it is"),
    ({"probabilities": {"pay": 0.6}}, "sum to 0.6, not to 1"),
    ({"probabilities": {"pay": 0.6, "dny": 0.4}}, "nearest is deny"),
    ({"probabilities": {"pay": -0.1, "deny": 1.1}}, "is no probability"),
    ({"probabilities": {"pay": 1, "deny": 1e-9}, "model_version": ""}, "must be the name of a model version"),
    ({"probabilities": {"pay": 1}, "reasons": [{"feature": "age", "contribution": 1}]}, "is no feature of the project"),
    ({"probabilities": {"pay": 1}, "model_version": "\ud800"}, "must be the name of a model version"),
]


def test_a_bad_prediction_rejects_its_item_alone(api: Api, database: Database, held: Setting, producer: Key) -> None:
    bad = [{**factories.raw(f"bad{n}"), "prediction": said} for n, (said, _) in enumerate(BAD)]
    first, *refused, last = api.items(sent("first", 0.8), *bad, sent("last", 0.8, "v2"), key=producer)
    assert (first["state"], last["state"]) == ("received", "received")
    for (_, words), found in zip(BAD, refused, strict=True):
        assert found["state"] == "invalid"
        assert found["problem"].startswith("prediction")
        assert words in found["problem"]
    acts = database.read(lambda s: [(a.verb, a.via) for a in s.query(Activity).filter_by(verb="model.register").order_by("id")])
    assert acts == [("model.register", "worker"), ("model.register", "api")]  # that of the fixture, and that of the request


def test_neither_item_nor_project_names_a_version(api: Api, database: Database, producer: Key) -> None:
    elsewhere.setting(database, elsewhere.project(version=None), signed=False)
    found = api.items(sent("1", 0.8), sent("2", 0.8, "v1"), key=producer)
    assert [each["state"] for each in found] == ["invalid", "received"]
    assert "send the name of the version" in found[0]["problem"]


def test_a_project_that_asks_its_own_model_refuses_that_item(api: Api, database: Database, producer: Key) -> None:
    factories.setting(database)
    found = api.items(sent("1", 0.8), factories.raw("2"), key=producer)
    assert [each["state"] for each in found] == ["invalid", "received"]
    assert "leave it out" in found[0]["problem"]


def test_sent_again_it_is_the_same_and_with_another_prediction_a_conflict(api: Api, held: Setting, producer: Key) -> None:
    assert api.items(sent("1", 0.8, reasons=WHY), key=producer)[0]["new"]
    assert not api.items(sent("1", 0.8, reasons=WHY), key=producer)[0]["new"]
    for other in (sent("1", 0.7, reasons=WHY), sent("1", 0.8), sent("1", 0.8, "v2", WHY), factories.raw("1")):
        assert api.items(other, key=producer)[0]["state"] == "conflict"


def test_a_worker_takes_what_is_signed_while_it_runs(worker: Workspace, database: Database) -> None:
    held = elsewhere.setting(database, signed=False)
    factories.submit(database, held, [sent("1", 0.97)])
    scoring = Scoring(worker, Models(database, worker.settings, "cpu"), Event())
    assert scoring.turn() == 0
    assert database.read(lambda s: s.query(Work).one().attempts) == 0
    elsewhere.promote(database, held, 1)
    assert scoring.turn() == 1
    assert database.write(explanations.order_ahead, held.id) == 0


def test_a_model_trained_here_is_registered_and_waits_for_the_uri(
    api: Api, worker: Workspace, database: Database, held: Setting
) -> None:
    rows = [
        {
            "external_id": f"r{n}",
            "input": {"amount": float(n), "region": "north", "opened": None},
            "label": "pay" if n < 50 else "deny",
            "split": "train" if n % 3 else "test",
        }
        for n in range(100)
    ]
    database.write(datasets.add_base, held, rows, by=None)
    by = elsewhere.owner(database)
    train = database.write(jobs.ask, held.id, "train", {"trainer": "sklearn-hgb"}, by=by)
    compare = database.write(jobs.ask, held.id, "compare", {"challenger": 2}, by=by)
    runner = Jobs(worker, "cpu", Event())
    while runner.turn():
        pass
    assert database.read(jobs.get, train.id).state == "done"
    assert "would never be asked" in (database.read(jobs.get, compare.id).error or "")
    assert database.read(registry.model, held.id, 2).trainer == "sklearn-hgb"
    acting = database.read(registry.champion, held.id)
    assert acting is not None
    assert acting.name == VERSION
    key = factories.keys(database).draw_key_id
    database.write(projects.apply, factories.project(), held.policy, "", key, by=None)
    again = database.write(jobs.ask, held.id, "compare", {"challenger": 2}, by=by)
    assert runner.turn()
    found = database.read(jobs.get, again.id).result
    assert found is not None
    assert (found["views"], found["gate"]["passed"]) == ([], False)  # at the gate alone
    assert f"model 1 ({VERSION}) at the gate alone" in found["verdict"]


def test_the_known_answers_play_on_predictions_from_elsewhere(worker: Workspace, database: Database, held: Setting) -> None:
    factories.submit(database, held, [sent(str(n), 0.6) for n in range(4)])
    loop.run(worker, drain=True, device="cpu")
    database.write(datasets.add_answers, held, {str(n): "pay" if n % 2 else "deny" for n in range(4)}, by=None)
    job = database.write(jobs.ask, held.id, "known-answers", {"count": 4}, by=elsewhere.owner(database))
    assert Jobs(worker, "cpu", Event()).turn()
    done = database.read(jobs.get, job.id)
    assert (done.state, done.result) == ("done", {"decided": 4})
    assert database.read(claims.holders, held.id, 9) == []


def test_one_project_of_each_kind_side_by_side(worker: Workspace, database: Database, held: Setting) -> None:
    other = real_models.setting(database)
    real_models.arrive(database, other, 20)
    factories.submit(database, held, [sent(str(n), 0.97) for n in range(30)])
    scoring = Scoring(worker, Models(database, worker.settings, "cpu"), Event())
    assert scoring.turn() == 50
    assert database.read(projects.get, "claims").project.external


def test_the_page_of_calls_shows_the_shape(api: Api) -> None:
    page = api.client.get("/api/docs").text
    for word in ("PredictionIn", "ReasonsIn", "ContributionIn", "log-odds", "TreeSHAP"):
        assert word in page


def test_bodies_of_a_thousand_predictions_are_taken_at_once(api: Api, held: Setting, producer: Key) -> None:
    many = [sent(str(n), 0.8, reasons=WHY) for n in range(1000)]
    assert {each["state"] for each in api.items(*many, key=producer)} == {"received"}
    too_many = api.post(ITEMS, {"items": [*many, sent("x", 0.8)]}, producer)
    problem(too_many, 422, "too_many_items")
