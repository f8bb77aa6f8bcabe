"""Leases of workers: expiry, late writers, giving back, deaths."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from contract.records import Unscored, Unshowable
from db.engine import Database
from db.tables import Draw, Event, Prediction, Routing, Work
from review_queue import batches, events, rules, tallies
from review_queue.batches import Leased, Written
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Move, at_once


def lease(database: Database, held: Setting, worker: str, limit: int = 100) -> list[Leased]:
    return database.write(batches.lease, held.id, "score", worker, limit=limit, seconds=60)


def write(database: Database, held: Setting, worker: str, items: list[Leased], sure: float = 0.97) -> Written:
    rule = database.read(rules.in_force, held.id, held.policy)
    assert rule is not None
    scored = [(item, factories.says("pay", sure)) for item in items]
    return database.write(batches.write, held.id, worker, scored, model_id=rule.model_id, keys=factories.keys(database))


def test_a_lease_ends_by_itself_and_the_late_writer_writes_nothing(database: Database, held: Setting, move: Move) -> None:
    factories.submit(database, held, [factories.raw(str(n)) for n in range(3)])
    slow = lease(database, held, "slow", 2)
    assert [item.external_id for item in slow] == ["0", "1"]
    assert [item.external_id for item in lease(database, held, "other")] == ["2"]
    assert lease(database, held, "third") == []
    move(timedelta(seconds=61))
    again = lease(database, held, "quick", 2)
    assert [(item.external_id, item.attempts) for item in again] == [("0", 2), ("1", 2)]
    assert write(database, held, "slow", slow) == Written()
    assert write(database, held, "quick", again) == Written(auto=2)
    assert write(database, held, "quick", again) == Written()
    assert len(database.read(lambda s: s.scalars(select(Routing)).all())) == 2


def test_giving_back_counts_only_where_somebody_is_to_blame(database: Database, held: Setting) -> None:
    factories.submit(database, held, [factories.raw(str(n)) for n in range(3)])
    first = lease(database, held, "a")
    database.write(batches.give_back, "score", "a", [first[0].item_id], error="out of memory", blame=True)
    database.write(batches.give_back, "score", "a")
    database.write(batches.give_back, "score", "somebody else", blame=True)
    again = {item.external_id: item.attempts for item in lease(database, held, "b")}
    assert again == {"0": 2, "1": 1, "2": 1}
    errors = database.read(lambda s: list(s.scalars(select(Work.last_error).order_by(Work.item_id))))
    assert errors[0] is None or errors[0] == "out of memory"


def test_an_item_whose_workers_died_fails_and_says_so(database: Database, held: Setting, move: Move) -> None:
    factories.submit(database, held, [factories.raw("1")])
    for death in range(batches.FAILED_AFTER):
        assert [item.attempts for item in lease(database, held, f"w{death}")] == [death + 1]
        move(timedelta(seconds=61))
    last = lease(database, held, "last")
    assert write(database, held, "last", last) == Written(failed=1)
    database.write(events.sequence)
    (event,) = database.read(events.after, held.id, 0)
    assert (event.kind, event.body["reason"]) == ("failed", "its worker died 3 times while scoring it")
    assert database.read(lambda s: s.scalars(select(Routing.pi)).one()) == 0.0


def test_threads_lease_each_item_once(database: Database, held: Setting) -> None:
    factories.submit(database, held, [factories.raw(str(n)) for n in range(100)])
    taken: list[str] = []
    acts = [lambda n=n: taken.extend(item.external_id for item in lease(database, held, f"w{n}", 15)) for n in range(8)]
    assert at_once(acts) == []
    while rest := lease(database, held, f"late{len(taken)}"):
        taken.extend(item.external_id for item in rest)
    assert sorted(taken, key=int) == [str(n) for n in range(100)]


def test_a_batch_leaves_all_its_rows(database: Database) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}, review={"second_opinion": 1.0, "due": "4h"}))
    answers = {"auto": factories.says("pay", 0.97), "review": factories.says("deny", 0.6), "unscored": Unscored("NaN")}
    assert factories.routed(database, held, answers) == Written(auto=1, review=2)
    kinds = [(task.kind, task.blind, task.due_at is not None) for task in factories.tasks(database)]
    assert kinds == [("audit", True, True), ("review", True, True), ("second", True, True), ("review", False, True)]
    said = database.read(lambda s: list(s.scalars(select(Prediction).order_by(Prediction.item_id))))
    assert (said[0].label, said[0].confidence, said[0].probabilities) == ("pay", 0.97, [1 - 0.97, 0.97])
    assert len(said) == 2
    drawn = database.read(lambda s: list(s.scalars(select(Draw).order_by(Draw.item_id, Draw.purpose))))
    assert [(d.purpose, d.p, d.band) for d in drawn] == [("evidence", 1.0, 6), ("evidence", 1.0, 2), ("second", 1.0, 2)]
    assert {d.key_id for d in drawn} == {factories.keys(database).draw_key_id}
    assert database.read(lambda s: s.scalars(select(Work)).all()) == []


def test_projects_with_work_are_told_longest_waiting_first(sqlite: Database, move: Move) -> None:
    late, early = factories.setting(sqlite), factories.setting(sqlite, factories.project(project="other"))
    factories.submit(sqlite, early, [factories.raw("1")])
    move(timedelta(seconds=1))
    factories.submit(sqlite, late, [factories.raw("1")])
    assert sqlite.read(batches.waiting_projects, "score") == [early.id, late.id]
    assert sqlite.read(batches.waiting_projects, "explain") == []


def test_a_crash_inside_a_write_leaves_the_batch_to_the_next(
    database: Database, held: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.submit(database, held, [factories.raw("1")])
    items = lease(database, held, "w")
    with monkeypatch.context() as broken:
        broken.setattr(batches._Writer, "_events", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write(database, held, "w", items)
    assert database.read(lambda s: [*s.scalars(select(Routing)), *s.scalars(select(Event))]) == []
    assert write(database, held, "w", items) == Written(auto=1)


def test_counts_follow_every_write(database: Database) -> None:
    wished = factories.policy(audit={"rate": 1.0}, review={"second_opinion": 1.0, "reviewers": 2})
    held = factories.setting(database, wished=wished)
    answers = {"a": factories.says("pay", 0.97), "b": factories.says("deny", 0.6), "c": Unscored("NaN"), "d": Unshowable("gone")}
    factories.submit(database, held, [factories.raw(name) for name in [*answers, "later"]])
    assert database.read(tallies.read, held.id) == {"items": 5, "unscored": 5}
    factories.routed(database, held, answers)
    counts = database.read(tallies.read, held.id)
    assert (counts["unscored"], counts["auto"], counts["review"], counts["failed"], counts["open"]) == (1, 1, 2, 1, 1 + 2 + 1 + 2)
    assert (counts["band/9/auto"], counts["band/6/review"], counts["outcomes/auto"]) == (1, 1, 1)
    assert not database.read(tallies.astray, held.id)
