"""Reasons as rows, ahead of the people."""

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.event import listen, remove

from contract.records import Explanation, Unscored
from db.engine import Database
from db.tables import Task, Work
from review_queue import batches, decisions, explanations
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import at_once, take


def shap(label: str = "pay", **changes: Any) -> Explanation:
    body: dict[str, Any] = {
        "method": "shap", "label": label, "unit": "log-odds", "base": 0.1, "contributions": [{"feature": "amount"}],
        "params": {"samples": 100}, "seed": 1, "background_hash": "b", "quality": {}, "seconds": 0.5,
    }  # fmt: skip
    return Explanation(**{**body, **changes})


def ordered(database: Database) -> list[int]:
    return database.read(lambda s: list(s.scalars(select(Work.item_id).where(Work.kind == "explain").order_by(Work.item_id))))


def test_the_next_to_be_seen_are_explained_first(database: Database, held: Setting, ann: Actor) -> None:
    answers = {str(n): factories.says("pay", 0.5 + n / 50) for n in range(12)}
    factories.routed(database, held, {**answers, "unscored": Unscored("NaN"), "auto": factories.says("pay", 0.99)})
    in_hand = take(database, held, ann)[0]
    assert database.write(explanations.order_ahead, held.id, 3) >= 3
    ranked = database.read(
        lambda s: list(s.scalars(select(Task.item_id).where(Task.state == "pending").order_by(Task.rank).limit(3)))
    )
    mine = database.read(lambda s: s.get_one(Task, in_hand.task_id).item_id)
    scored = [item for item in [*ranked, mine] if database.read(explanations.target, item) is not None]
    assert ordered(database) == sorted(scored)
    assert database.write(explanations.order_ahead, held.id, 3) == 0
    leased = database.write(batches.lease, held.id, "explain", "w", limit=9, seconds=60)
    assert sorted(item.item_id for item in leased) == sorted(scored)


def test_a_reason_is_stored_once_and_closes_its_work(database: Database, held: Setting, ann: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    item_id = factories.tasks(database)[0].item_id
    aimed = database.read(explanations.target, item_id)
    assert aimed is not None
    assert aimed[1] == "pay"
    database.write(explanations.order_ahead, held.id)
    database.write(explanations.store, item_id, aimed[0], [shap(), shap(method="lime")])
    assert ordered(database) == []
    database.write(explanations.store, item_id, aimed[0], [shap(seconds=9.0, base=7.0), shap(params={"samples": 200})])
    reasons = database.read(explanations.of_prediction, item_id, aimed[0])
    assert [(r.method, r.body["base"], r.body["params"]["samples"]) for r in reasons] == [
        ("shap", 0.1, 100), ("lime", 0.1, 100), ("shap", 0.1, 200),
    ]  # fmt: skip
    assert database.write(explanations.order_ahead, held.id) == 0
    assert [r.method for r in take(database, held, ann)[0].explanations] == ["shap", "lime", "shap"]


def test_the_hash_is_of_the_reason_and_not_of_the_time_it_took(sqlite: Database) -> None:
    held = factories.setting(sqlite)
    factories.routed(
        sqlite, held, {"1": factories.says("pay", 0.6), "2": factories.says("pay", 0.6), "3": factories.says("pay", 0.6)}
    )
    ids = [task.item_id for task in factories.tasks(sqlite)]
    aimed = sqlite.read(explanations.target, ids[0])
    assert aimed is not None
    for item, reason in zip(ids, (shap(seconds=1.0), shap(seconds=2.0), shap(base=0.2)), strict=True):
        sqlite.write(explanations.store, item, aimed[0], [reason])
    hashes = [sqlite.read(explanations.of_prediction, item, aimed[0])[0].hash for item in ids]
    assert hashes[0] == hashes[1] != hashes[2]


def test_workers_order_and_store_side_by_side(database: Database, held: Setting) -> None:
    factories.routed(database, held, {str(n): factories.says("pay", 0.6) for n in range(20)})
    assert at_once([lambda: database.write(explanations.order_ahead, held.id) for _ in range(4)]) == []
    assert len(ordered(database)) == 20
    item_id = ordered(database)[0]
    aimed = database.read(explanations.target, item_id)
    assert aimed is not None
    acts = [lambda: database.write(explanations.store, item_id, aimed[0], [shap(), shap(method="lime")]) for _ in range(4)]
    assert at_once(acts) == []
    assert len(database.read(explanations.of_prediction, item_id, aimed[0])) == 2


def test_what_was_decided_needs_no_reason(sqlite: Database) -> None:
    held, ann = factories.setting(sqlite), factories.person(sqlite, "ann")
    factories.routed(sqlite, held, {"1": factories.says("pay", 0.6)})
    case = take(sqlite, held, ann)[0]
    sqlite.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
    assert sqlite.write(explanations.order_ahead, held.id) == 0


def test_what_cannot_be_json_is_refused_whole(sqlite: Database) -> None:
    held = factories.setting(sqlite)
    factories.routed(sqlite, held, {"1": factories.says("pay", 0.6)})
    item_id = factories.tasks(sqlite)[0].item_id
    aimed = sqlite.read(explanations.target, item_id)
    assert aimed is not None
    with pytest.raises(ValueError, match=r".+"):
        sqlite.write(explanations.store, item_id, aimed[0], [shap(), shap(method="lime", base=float("nan"))])
    assert sqlite.read(explanations.of_prediction, item_id, aimed[0]) == []


def test_work_that_went_with_its_item_meanwhile_is_no_matter(database: Database) -> None:
    held = factories.setting(database)
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    item_id = factories.tasks(database)[0].item_id
    aimed = database.read(explanations.target, item_id)
    assert aimed is not None
    database.write(explanations.order_ahead, held.id)
    assert ordered(database) == [item_id]

    def go_first(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("DELETE FROM work"):
            cursor.execute("DELETE FROM work")

    listen(database.engine, "before_cursor_execute", go_first)
    database.write(explanations.store, item_id, aimed[0], [shap()])
    remove(database.engine, "before_cursor_execute", go_first)
    assert ordered(database) == []
    assert len(database.read(explanations.of_prediction, item_id, aimed[0])) == 1
