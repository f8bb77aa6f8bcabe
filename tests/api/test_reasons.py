"""Reasons over HTTP: asked for, made, kept with the decision; similar cases; and nothing of it for a blind case."""

from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from contract.records import Explanation
from db.engine import Database
from db.tables import Activity, Decision, Routing
from review_queue import embeddings, explanations
from review_queue.projects import Setting
from tests import factories
from tests.api.conftest import Api, MakeKey, problem

Key = dict[str, str]


def made(label: str = "pay", **changes: Any) -> Explanation:
    parts = [{"feature": "amount", "value": 120.5, "contribution": 0.7}]
    return Explanation("lime.tabular", label, "probability", 0.1, parts, changes.pop("params", {}), 1, "0", {}, 0.1, **changes)


@pytest.fixture
def case(api: Api, database: Database, held: Setting, ann: Key) -> dict[str, Any]:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    return api.take(ann)[0]


def test_another_explanation_is_asked_for_and_comes(api: Api, database: Database, ann: Key, case: dict[str, Any]) -> None:
    path = f"/tasks/{case['task_id']}/explanations"
    reply = api.post(path, {"method": "lime.tabular", "label": "deny", "samples": 5000}, ann)
    assert reply.status_code == 202
    asked = reply.json()
    assert asked == {
        "id": asked["id"], "method": "lime.tabular", "label": "deny", "params": {"samples": 5000}, "state": "waiting",
        "explanation_id": None, "problem": None,
    }  # fmt: skip
    assert api.post(path, {"method": "lime.tabular", "label": "deny", "samples": 5000}, ann).json() == asked
    assert api.post(path, {"method": "shap.permutation"}, ann).json()["label"] == "pay"
    database.write(explanations.answer, int(asked["id"]), made("deny", doubt="a straight line fits badly"))
    found = api.get(path, ann).json()
    assert [each["state"] for each in found["asked"]] == ["done", "waiting"]
    assert [each["id"] for each in found["explanations"]] == [found["asked"][0]["explanation_id"]]
    assert found["explanations"][0]["requested"] is True
    assert found["explanations"][0]["doubt"] == "a straight line fits badly"
    assert found["explanations"][0]["stability"] is None


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"method": "lime.tabluar"}, "nearest is lime.tabular"),
        ({"method": "lime.text"}, "'lime.text' is no method for tabular inputs"),
        ({"method": "lime.tabular", "label": "payy"}, "nearest is pay"),
        ({"method": "lime.tabular", "samples": 99}, "from 100 to 50,000"),
        ({"method": "shap.tree", "samples": 100}, "shap.tree takes no 'samples'"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(api: Api, ann: Key, case: dict[str, Any], wish: dict[str, Any], says: str) -> None:
    reply = api.post(f"/tasks/{case['task_id']}/explanations", wish, ann)
    assert says in problem(reply, 422, "invalid")["detail"]


def test_a_blind_case_shows_and_takes_nothing_before_its_first_answer(api: Api, database: Database, ann: Key) -> None:
    held = factories.setting(database, wished=factories.policy(review={"blind_first": "all"}))
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    case = api.take(ann)[0]
    path = f"/tasks/{case['task_id']}"
    wish = {"method": "lime.tabular"}
    problem(api.get(f"{path}/explanations", ann), 409, "answer_first")
    problem(api.post(f"{path}/explanations", wish, ann), 409, "answer_first")
    assert "blind" in problem(api.get(f"{path}/similar", ann), 409, "refused")["detail"]
    assert api.post(f"{path}/answer", {"token": case["token"], "key": "a", "label": "pay"}, ann).status_code == 200
    assert api.post(f"{path}/explanations", wish, ann).status_code == 202
    problem(api.get(f"{path}/similar", ann), 409, "refused")


def test_who_does_not_hold_the_case_asks_for_nothing(api: Api, case: dict[str, Any], key: MakeKey) -> None:
    bob = key("bob", "review")
    path = f"/tasks/{case['task_id']}"
    problem(api.get(f"{path}/similar", bob), 409, "claim_expired")
    problem(api.post(f"{path}/explanations", {"method": "lime.tabular"}, bob), 409, "claim_expired")


def test_similar_cases_come_with_what_people_decided(api: Api, database: Database, held: Setting, ann: Key) -> None:
    factories.routed(database, held, {str(n): factories.says("pay", 0.6) for n in range(3)})
    cases = api.take(ann, 3)
    problem(api.get(f"/tasks/{cases[2]['task_id']}/similar", ann), 409, "refused")
    routed = database.read(lambda s: list(s.scalars(select(Routing).order_by(Routing.item_id))))
    ways = np.eye(4, dtype="<f4")[[0, 0, 0]]
    vectors = {row.item_id: way.tobytes() for row, way in zip(routed, ways, strict=True)}
    database.write(embeddings.keep, routed[0].model_id, "the model's answers", vectors)
    api.decide(cases[0], ann, "a")
    api.decide(cases[1], ann, "b", "correct", label="deny")
    found = api.get(f"/tasks/{cases[2]['task_id']}/similar", ann, count=1).json()
    assert (found["space"], found["looked_at"], found["disagreed"]) == ("the model's answers", 2, 1)
    assert len(found["cases"]) == 1
    assert found["cases"][0]["similarity"] == 1.0
    assert found["cases"][0]["external_id"] in {cases[0]["external_id"], cases[1]["external_id"]}
    problem(api.get(f"/tasks/{cases[2]['task_id']}/similar", ann, count=21), 422, "invalid")


def test_what_was_on_the_screen_and_whether_it_was_opened_is_kept(
    api: Api, database: Database, held: Setting, ann: Key, case: dict[str, Any], key: MakeKey
) -> None:
    row = database.read(lambda s: s.scalars(select(Routing)).one())
    database.write(explanations.store, row.item_id, row.model_id, [made()])
    shown = api.get(f"/tasks/{case['task_id']}/explanations", ann).json()["explanations"][0]["hash"]
    assert api.decide(case, ann, reasons_shown=[shown], reasons_opened=True).status_code == 201
    kept = database.read(lambda s: s.scalars(select(Decision)).one())
    assert (kept.reasons_shown, kept.reasons_opened) == ([shown], True)
    act = database.read(lambda s: s.scalars(select(Activity).where(Activity.verb == "decision.accept")).one())
    assert act.after is not None
    assert (act.after["reasons_shown"], act.after["reasons_opened"]) == (1, True)
    record = api.get("/projects/claims/items/1", key("lea", "read", role="lead")).json()
    assert (record["decisions"][0]["reasons_shown"], record["decisions"][0]["reasons_opened"]) == ([shown], True)


def test_a_dataset_with_reasons_is_a_job_that_says_so(api: Api, held: Setting, key: MakeKey) -> None:
    admin = key("olga", "admin", role="owner")
    wishes = ({"format": "jsonl", "with_reasons": True}, {"format": "csv"})
    asked = [api.post("/projects/claims/datasets", wish, admin).json()["args"] for wish in wishes]
    assert asked == [{"format": "jsonl", "with_reasons": True}, {"format": "csv"}]
    job = {"project": "claims", "kind": "export", "args": {"with_reasons": True}}
    assert api.post("/jobs", job, admin).json()["args"] == {"with_reasons": True}
    problem(api.post("/jobs", {**job, "kind": "train"}, admin), 422, "invalid")
