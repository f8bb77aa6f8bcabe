"""Erasing: the content goes out of every table, what was decided and the evidence stay."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from contract.records import Explanation, Unscored, Unshowable
from db.engine import Database
from db.tables import Embedding, Erased, Item, ItemKey, Model, ReasonRequest, Table
from review_queue import (
    cases,
    clock,
    decisions,
    erasure,
    events,
    evidence,
    explanations,
    find,
    flags,
    intake,
    outcomes,
    parking,
    requests,
    truths,
    withdrawal,
)
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import ClaimExpired, Forbidden, NotFound, Refused
from review_queue.projects import Setting
from review_queue.truths import Told
from tests import factories
from tests.review_queue.acting import Move, take

CANARY = "Zaunkönig-4711"
pytestmark = pytest.mark.usefixtures("sound")


@pytest.fixture
def olga(database: Database) -> Actor:
    return factories.person(database, "olga", "owner")


@pytest.fixture
def olga_alone(sqlite: Database) -> Actor:
    return factories.person(sqlite, "olga", "owner")


def erase(database: Database, held: Setting, by: Actor, *names: str, why: str | None = "asked for") -> list[erasure.Gone]:
    return [database.write(erasure.erase, held, name, why=why, by=by) for name in names]


def cells(database: Database) -> Iterator[tuple[str, str]]:
    """Everything that any table holds, as text, with its place."""
    for table in Table.metadata.sorted_tables:
        for row in database.read(lambda session, which=table: session.execute(select(which)).mappings().all()):
            for name, value in row.items():
                said = value.decode("utf-8", "replace") if isinstance(value, bytes) else repr(value)
                yield f"{table.name}.{name}", said


def leaks(database: Database, canary: str = CANARY) -> set[str]:
    return {place for place, said in cells(database) if canary in said or canary.encode("unicode_escape").decode() in said}


def explain(database: Database, item_id: int) -> str:
    aimed = database.read(explanations.target, item_id)
    assert aimed is not None
    parts = [{"feature": "region", "value": CANARY, "contribution": 0.7}]
    made = Explanation("shap.exact", aimed[1], "probability", 0.1, parts, {}, 1, "0", {}, 0.1)
    database.write(explanations.store, item_id, aimed[0], [made])
    reason = database.read(explanations.of_prediction, item_id, aimed[0])[-1]
    return f"{reason.id}:{reason.hash}"


def beside(session: Session, item_id: int, model_id: int) -> None:
    """A vector and a wish of an item."""
    now = clock.now()
    session.execute(insert(Embedding).values(item_id=item_id, model_id=model_id, space="x", vector=f"{CANARY:_<16}".encode()))
    asked = {"method": "lime", "label": "pay", "params": {"said": CANARY}, "params_hash": "h", "asked_at": now}
    asked |= {"done_at": now, "problem": CANARY}
    project = session.scalar(select(Item.project_id).where(Item.id == item_id))
    session.execute(insert(ReasonRequest).values(project_id=project, item_id=item_id, model_id=model_id, **asked))


def lived(database: Database, held: Setting, ann: Actor, lea: Actor) -> None:
    """Items with all that can be said of them: 1 decided, and asked about again, 2 parked, 3 not scored, 4 replaced, 5 failed."""
    factories.routed(database, held, {n: factories.says("pay", 0.6) for n in "124"}, region=CANARY)
    factories.routed(database, held, {"3": Unscored(f"unknown region {CANARY}"), "5": Unshowable(CANARY)}, region=CANARY)
    model = database.read(lambda s: s.scalar(select(func.max(Model.id))))
    shown = explain(database, 1)
    database.write(beside, 1, model)
    held_now = {case.external_id: case for case in take(database, held, ann, 4)}
    said = Said("k1", "correct", "deny", comment=f"about {CANARY}", reasons_shown=(shown, CANARY), reasons_opened=True)
    database.write(decisions.decide, ann, held_now["1"].task_id, held_now["1"].token, said)
    database.write(parking.park, ann, held_now["2"].task_id, held_now["2"].token, note=f"ask {CANARY}")
    database.write(requests.request, held, "1", f"look at {CANARY}", by=lea)
    database.write(flags.flag, held, lea, 1, f"odd: {CANARY}")
    database.write(withdrawal.replace, held, intake.check(held.project, factories.raw("4", region="south")), by=lea)


def test_nothing_of_it_is_left_in_any_table(
    database: Database, held: Setting, ann: Actor, lea: Actor, olga: Actor, move: Move
) -> None:
    lived(database, held, ann, lea)
    move(timedelta(minutes=1))
    database.write(events.sequence)
    assert leaks(database) >= {
        "item.input", "explanation.body", "embedding.vector", "reason_request.params", "decision.comment", "flag.note",
        "decision.reasons_shown", "task.requested", "task.parked_note", "routing.reason", "event.body", "activity.after",
    }  # fmt: skip
    erase(database, held, olga, *"12345")
    assert leaks(database) == set()
    assert {task.state for task in factories.tasks(database)} <= {"completed", "cancelled"}


def test_what_was_decided_and_the_evidence_stay(database: Database, ann: Actor, olga: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}, review={"undo_window": "0s"}))
    factories.routed(database, held, {n: factories.says("pay", 0.96 if n in "12" else 0.6) for n in "1234"})
    (case,) = take(database, held, ann)
    first = "pay" if case.blind else None
    if first:
        database.write(decisions.answer, ann, case.task_id, case.token, "a", first)
    database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
    database.write(truths.keep, held, [Told(case.external_id, "deny", datetime(2026, 1, 5, tzinfo=UTC))], by=None)

    def seen() -> Any:
        return database.read(evidence.read, held), database.read(find.record, held, case.external_id, by=olga)

    counted, before = seen()
    erase(database, held, olga, "1", "2", "3", "4")
    after, record = seen()
    assert after == counted
    for name in ("predictions", "routings", "draws", "outcomes", "truths", "received_at", "state"):
        assert getattr(record, name) == getattr(before, name), name
    assert [(d.verdict, d.label, d.at) for d in record.decisions] == [(d.verdict, d.label, d.at) for d in before.decisions]
    assert (record.input, record.erased and record.erased.why, record.erased and record.erased.by) == ({}, "asked for", "olga")


def test_open_draws_run_to_their_due_time(database: Database, olga: Actor, ann: Actor, move: Move) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}))
    factories.routed(database, held, {"1": factories.says("pay", 0.96)})
    (case,) = take(database, held, ann)
    erase(database, held, olga, "1")
    assert [(task.kind, task.state) for task in factories.tasks(database)] == [("audit", "cancelled")]
    with pytest.raises(ClaimExpired):
        database.write(decisions.answer, ann, case.task_id, case.token, "a", "pay")
    assert database.write(cases.take, held, ann, "s", 5) == []
    assert database.write(outcomes.resolve_overdue) == 0
    move(timedelta(days=8))
    assert database.write(outcomes.resolve_overdue) == 1
    record = database.read(find.record, held, "1", by=olga)
    assert [(draw["resolved_as"], draw["loss"]) for draw in record.draws] == [("overdue", 1)]


def test_one_that_waits_is_scored_no_more_and_is_closed(database: Database, held: Setting, olga: Actor) -> None:
    factories.submit(database, held, [factories.raw("1")])
    erase(database, held, olga, "1")
    assert database.read(find.record, held, "1", by=olga).state == "cancelled"
    assert factories.submit(database, held, [factories.raw("1")])[0].state == "cancelled"
    assert database.read(lambda s: s.scalar(select(Item.input))) is None


def test_it_is_told_once_and_once_more_ends_what_came_between(database: Database, held: Setting, olga: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)}, region=CANARY)
    (first,) = erase(database, held, olga, "1")
    explain_late = {"item_id": 1, "space": "x", "vector": f"{CANARY:_<16}".encode()}
    model = database.read(lambda s: s.scalar(select(func.max(Model.id))))
    database.write(lambda s: s.execute(insert(Embedding).values(model_id=model, **explain_late)))
    (second,) = erase(database, held, olga, "1", why="again")
    assert (first.again, second.again) == (False, True)
    assert leaks(database) == set()
    database.write(events.sequence)
    told = [each.body for each in database.read(events.after, held.id, 0) if each.kind == "erased"]
    assert told == [{"external_id": "1"}]
    assert database.read(lambda s: s.scalars(select(Erased.why)).all()) == ["asked for"]
    assert [(name, each.why) for name, each in database.read(erasure.listed, held.id, limit=9)] == [("1", "asked for")]


def test_every_revision_goes_and_a_new_one_may_come(database: Database, held: Setting, olga: Actor) -> None:
    factories.submit(database, held, [factories.raw("1", region=CANARY), factories.raw("11", region="keep")])
    for amount in (1, 2):
        wanted = intake.check(held.project, factories.raw("1", region=CANARY, amount=amount))
        database.write(withdrawal.replace, held, wanted, by=olga)
    (gone,) = erase(database, held, olga, "1")
    assert len(gone.item_ids) == 3
    assert leaks(database) == set()
    assert database.read(lambda s: s.scalar(select(func.count()).where(Item.input.is_not(None)))) == 1
    database.write(withdrawal.replace, held, intake.check(held.project, factories.raw("1", region="new")), by=olga)
    newest = database.read(find.record, held, "1", by=olga)
    assert (newest.item_revision, newest.input["region"], newest.erased) == (4, "new", None)


def test_nobody_is_asked_to_look_at_what_is_gone(database: Database, held: Setting, olga: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.97)})
    erase(database, held, olga, "1")
    with pytest.raises(Refused, match="the content of '1' was erased"):
        database.write(requests.request, held, "1", "is it right?", by=olga)


def test_all_of_one_subject_are_found(database: Database, held: Setting, olga: Actor) -> None:
    factories.submit(database, held, [{**factories.raw(n), "subject": "p7" if n in "13" else "p8"} for n in "123"])
    wanted = intake.check(held.project, {**factories.raw("1", amount=5), "subject": "p8"})
    database.write(withdrawal.replace, held, wanted, by=olga)
    assert database.read(erasure.of_subject, held, "p7") == ["1", "3"]
    assert database.read(erasure.of_subject, held, "nobody") == []


def test_it_is_for_owners_and_of_what_is_there(database: Database, held: Setting, lea: Actor, olga: Actor) -> None:
    factories.submit(database, held, [factories.raw("1")])
    with pytest.raises(Forbidden, match="lea is a lead; erasing is for owners"):
        erase(database, held, lea, "1")
    with pytest.raises(NotFound, match="has no claim 'nobody'"):
        erase(database, held, olga, "nobody")
    assert database.read(lambda s: s.scalar(select(func.count()).select_from(ItemKey))) == 1
    assert database.read(lambda s: s.scalar(select(Item.input))) is not None


@pytest.mark.parametrize(
    "row", [{"amount": 1, "region": "n"}, {"region": "n", "amount": 1.0}, {"amount": 1, "region": "n", "opened": None, "x": 3}]
)
def test_the_hash_of_a_row_is_of_what_a_model_sees(row: dict[str, Any]) -> None:
    wanted = erasure.row_hash(factories.project(), {"amount": 1, "region": "n"})
    assert erasure.row_hash(factories.project(), row) == wanted
    assert erasure.row_hash(factories.project(), {**row, "amount": 2}) != wanted


def test_the_file_of_sqlite_holds_nothing_once_its_free_pages_are_written_over(sqlite: Database, olga_alone: Actor) -> None:
    held = factories.setting(sqlite)
    factories.routed(sqlite, held, {str(n): factories.says("pay", 0.6) for n in range(20)}, region="Zaunkoenig-4711")
    erase(sqlite, held, olga_alone, *map(str, range(20)))
    path = Path(str(sqlite.engine.url.database))
    sqlite.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as alone:
        for statement in ("PRAGMA secure_delete=ON", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
            alone.execute(statement).fetchall()
    assert not any(b"Zaunkoenig-4711" in each.read_bytes() for each in path.parent.glob(f"{path.name}*"))
