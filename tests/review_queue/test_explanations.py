"""Reasons as rows, ahead of the people."""

import re
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.event import listen, remove

from contract.records import Explanation, Unscored
from db.engine import Database
from db.tables import Task, Work
from review_queue import batches, checks, decisions, explanations, withdrawal
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import Invalid, Refused
from review_queue.explanations import Asked
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


# Asked for


def waiting(database: Database, held: Setting, count: int = 1) -> tuple[list[int], int]:
    factories.routed(database, held, {str(n): factories.says("pay", 0.6) for n in range(count)})
    items = [task.item_id for task in factories.tasks(database)]
    aimed = database.read(explanations.target, items[0])
    assert aimed is not None
    return items, aimed[0]


def ask(database: Database, held: Setting, item: int, by: Actor, method: str = "lime.tabular", **wish: Any) -> Asked:
    return database.write(explanations.ask, held, item, method=method, by=by, **wish)


def leased(database: Database, held: Setting, limit: int = 9) -> list[int]:
    return [each.item_id for each in database.write(batches.lease_reasons, held.id, "w", limit=limit, seconds=60)]


def test_what_is_asked_for_is_kept_apart_from_what_is_made_ahead(database: Database, held: Setting, ann: Actor) -> None:
    (item,), model_id = waiting(database, held)
    one = ask(database, held, item, ann, label="deny", params={"samples": 500})
    assert (one.state, one.label, one.params, one.explanation_id) == ("waiting", "deny", {"samples": 500}, None)
    assert ask(database, held, item, ann, label="deny", params={"samples": 500}) == one
    other = ask(database, held, item, ann)
    assert other.id > one.id
    assert other.label == "pay"
    wanted = database.read(explanations.wanted, [item])[item]
    assert (wanted.model_id, wanted.label, wanted.ahead, wanted.asked) == (model_id, "pay", True, (one, other))
    assert leased(database, held) == [item]
    database.write(explanations.store, item, model_id, [shap(method="lime.tabular"), shap()])
    assert ordered(database) == [item]
    database.write(explanations.answer, one.id, shap("deny", method="lime.tabular", params={"samples": 500}))
    database.write(explanations.answer, other.id, shap(method="lime.tabular"))
    assert ordered(database) == []
    found = database.read(explanations.of_prediction, item, model_id)
    assert [(r.method, r.label, r.requested) for r in found] == [
        ("lime.tabular", "pay", False), ("shap", "pay", False), ("lime.tabular", "deny", True),
    ]  # fmt: skip
    done = database.read(explanations.asked, item, model_id)
    assert [(each.state, each.explanation_id) for each in done] == [("done", found[2].id), ("done", found[0].id)]
    assert ask(database, held, item, ann).state == "done"
    assert ordered(database) == []
    assert database.read(checks.problems) == []


def test_what_fails_says_why_and_is_tried_once_more_when_asked_again(database: Database, held: Setting, ann: Actor) -> None:
    (item,), model_id = waiting(database, held)
    one = ask(database, held, item, ann, "shap.tree")
    database.write(explanations.refuse, one.id, "SHAP (trees) does not suit this model.")
    failed = database.read(explanations.asked, item, model_id)[0]
    assert (failed.state, failed.problem) == ("failed", "SHAP (trees) does not suit this model.")
    again = ask(database, held, item, ann, "shap.tree")
    assert (again.id, again.state, again.problem) == (one.id, "waiting", None)
    database.write(explanations.answer, one.id, shap(method="shap.tree", problem="it failed on this item"))
    failed = database.read(explanations.asked, item, model_id)[0]
    assert (failed.state, failed.problem) == ("failed", "it failed on this item")
    assert failed.explanation_id is not None
    for _ in range(2):
        ask(database, held, item, ann, "shap.tree")
        database.write(explanations.answer, one.id, shap(method="shap.tree"))
    done = database.read(explanations.asked, item, model_id)[0]
    found = {reason.id: reason for reason in database.read(explanations.of_prediction, item, model_id)}
    assert (done.state, done.problem, len(found)) == ("done", None, 2)
    assert done.explanation_id is not None
    assert found[done.explanation_id].body["problem"] is None
    assert found[done.explanation_id].requested
    assert found[failed.explanation_id].body["problem"] == "it failed on this item"
    assert database.read(checks.problems) == []


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"method": "lime.tabluar"}, "nearest is lime.tabular; these are: shap.tree, "),
        ({"method": "shap.partition"}, "is no method for tabular inputs"),
        ({"label": "Pay"}, "the model knows no label 'Pay'; nearest is pay"),
        ({"params": {"evaluations": 500}}, "takes no 'evaluations'; what may be set: samples, features"),
        ({"params": {"samples": True}}, "samples True is not a whole number from 100 to 50,000"),
        ({"params": {"features": 0}}, "features 0 is not a whole number from 1 to 1,000"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_with_the_mend(sqlite: Database, wish: dict[str, Any], says: str) -> None:
    held, ann = factories.setting(sqlite), factories.person(sqlite, "ann")
    (item,), _ = waiting(sqlite, held)
    with pytest.raises(Invalid, match=re.escape(says)):
        ask(sqlite, held, item, ann, **wish)


def test_no_more_is_asked_of_one_case_than_a_worker_soon_ends(database: Database, held: Setting, ann: Actor) -> None:
    items, model_id = waiting(database, held, 2)
    held_open = [ask(database, held, items[0], ann, params={"samples": 100 + n}) for n in range(explanations.MOST_OPEN)]
    with pytest.raises(Refused, match="20 explanations of this case wait to be made"):
        ask(database, held, items[0], ann, params={"samples": 5_000})
    assert ask(database, held, items[0], ann, params={"samples": 100}) == held_open[0]
    assert ask(database, held, items[1], ann).state == "waiting"
    database.write(explanations.refuse, held_open[3].id, "it failed")
    assert ask(database, held, items[0], ann, params={"samples": 5_000}).state == "waiting"
    assert len(database.read(explanations.asked, items[0], model_id)) == explanations.MOST_OPEN + 1


def test_nothing_is_asked_of_a_model_that_gave_no_answer(sqlite: Database) -> None:
    held, ann = factories.setting(sqlite), factories.person(sqlite, "ann")
    factories.routed(sqlite, held, {"1": Unscored("NaN")})
    item = factories.tasks(sqlite)[0].item_id
    with pytest.raises(Refused, match="no model answered for this claim"):
        ask(sqlite, held, item, ann)
    sqlite.write(explanations.hurry, held.id, item)
    assert ordered(sqlite) == []


def test_many_ask_for_the_same_at_once_while_a_worker_ends_its_work(database: Database, held: Setting, ann: Actor) -> None:
    (item,), model_id = waiting(database, held)
    database.write(explanations.order_ahead, held.id)
    assert leased(database, held) == [item]
    acts = [lambda: ask(database, held, item, ann) for _ in range(4)]
    acts.append(lambda: database.write(explanations.store, item, model_id, [shap()]))  # type: ignore[arg-type, return-value]
    assert at_once(acts) == []
    asked = database.read(explanations.asked, item, model_id)
    assert [each.state for each in asked] == ["waiting"]
    assert ordered(database) == [item]
    assert leased(database, held) == [item]
    database.write(explanations.answer, asked[0].id, shap(method="lime.tabular"))
    assert ordered(database) == []


def test_what_is_on_a_screen_or_asked_about_goes_first_and_alone(database: Database, held: Setting, ann: Actor) -> None:
    answers = {str(n): factories.says("pay", 0.6) for n in range(8)}
    factories.routed(database, held, answers)
    database.write(explanations.order_ahead, held.id)
    ranked = [task.item_id for task in sorted(factories.tasks(database), key=lambda task: (task.rank, task.id))]
    last, seen = ranked[-1], take(database, held, ann, 2)
    ask(database, held, last, ann)
    database.write(explanations.hurry, held.id, seen[1].item_id)
    assert leased(database, held) == [last]
    assert leased(database, held) == [seen[1].item_id]
    assert leased(database, held) == [seen[0].item_id]
    left = [item for item in ranked if item not in (last, seen[0].item_id, seen[1].item_id)]
    assert leased(database, held, 3) == sorted(left[:3])
    assert leased(database, held, 3) == sorted(left[3:])
    assert leased(database, held) == []


def test_a_hurried_case_that_is_in_hand_stays_there(database: Database, held: Setting, ann: Actor) -> None:
    (item,), model_id = waiting(database, held)
    database.write(explanations.hurry, held.id, item)
    assert leased(database, held) == [item]
    database.write(explanations.hurry, held.id, item)
    ask(database, held, item, ann)
    assert leased(database, held) == []
    database.write(explanations.store, item, model_id, [shap()])
    assert leased(database, held) == [item]
    database.write(explanations.hurry, held.id, item)
    assert ordered(database) == [item]


def test_an_item_over_which_workers_died_is_taken_alone(database: Database, held: Setting) -> None:
    items, _ = waiting(database, held, 4)
    database.write(explanations.order_ahead, held.id)
    killer = items[0]
    died = update(Work).where(Work.item_id == killer).values(attempts=batches.ALONE_AFTER)
    assert database.write(lambda s: s.execute(died).rowcount) == 1  # type: ignore[attr-defined]
    taken = [leased(database, held) for _ in range(3)]
    assert [killer] in taken
    assert sorted(item for each in taken for item in each) == sorted(items)


def test_what_was_asked_for_of_an_item_that_is_taken_back_ends(database: Database, held: Setting, ann: Actor) -> None:
    (item,), model_id = waiting(database, held)
    ask(database, held, item, ann)
    database.write(withdrawal.cancel, held, "0", by=ann)
    assert ordered(database) == []
    ended = database.read(explanations.asked, item, model_id)[0]
    assert (ended.state, ended.problem) == ("failed", "the producer replaced or cancelled the item meanwhile")
    assert database.read(checks.problems) == []
