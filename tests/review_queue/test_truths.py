"""What later proved true: kept once, the latest stands, and it touches evidence only where it is seen for every item."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from contract.inputs import InputError
from db.engine import Database
from db.tables import Activity, Draw, Task, Truth
from review_queue import decisions, events, intake, outcomes, truths, withdrawal
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.projects import Setting
from review_queue.truths import Told
from tests import factories
from tests.review_queue.acting import Move, at_once, take

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
pytestmark = pytest.mark.usefixtures("sound")


def tell(database: Database, held: Setting, *told: Told, by: Actor | None = None) -> list[truths.Receipt]:
    return database.write(truths.keep, held, list(told), by=by)


def stands(database: Database, item_id: int = 1, until: int | None = None) -> str | None:
    found = database.read(truths.of, [item_id], until)
    return found[item_id].label if item_id in found else "nothing"


def seen_for_all(database: Database, rate: float = 1.0) -> Setting:
    """A project whose truths are seen for every item, and that checks what acts alone."""
    wanted = factories.project(truths={"every_item": True})
    return factories.setting(database, wanted, factories.policy(audit={"rate": rate}))


def draws(database: Database) -> list[tuple[str, str | None, int | None]]:
    rows = database.read(lambda s: list(s.scalars(select(Draw).order_by(Draw.item_id, Draw.n, Draw.purpose))))
    return [(row.purpose, row.resolved_as, row.loss) for row in rows]


def states(database: Database) -> list[tuple[str, str]]:
    return [(task.kind, task.state) for task in factories.tasks(database)]


# Reading a row


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        ({"label": "pay"}, "external_id"),
        ({"external_id": "1"}, "label"),
        ({"external_id": "1", "label": "payed"}, "label"),
        ({"external_id": "1", "label": ["pay"]}, "label"),
        ({"external_id": "1", "label": "pay", "known_at": "13/14/2026"}, "known_at"),
        ({"external_id": "1", "label": "pay", "known_at": 20260101}, "known_at"),
        ({"external_id": "1", "label": "pay", "known_at": "2999-01-01"}, "known_at"),
        ({"external_id": "1", "label": "pay", "known_at": "0001-01-01T00:00:00+14:00"}, "known_at"),
        ({"external_id": "1", "label": "pay", "source": "two\nlines"}, "source"),
        ({"external_id": "1", "label": "pay", "source": "x" * 101}, "source"),
        ({"external_id": "1", "label": "pay", "source": 7}, "source"),
        ({"external_id": "1", "label": "pay", "when": "2026-01-01"}, "when"),
        ("pay", "truth"),
    ],
)
def test_a_bad_row_names_its_place(raw: Any, place: str) -> None:
    with pytest.raises(InputError) as refused:
        truths.check(factories.project(), raw)
    assert refused.value.place == place


def test_a_date_without_a_time_begins_where_the_project_is() -> None:
    zoned = factories.project(timezone="Europe/Berlin")
    told = truths.check(zoned, {"external_id": 7, "label": "pay", "known_at": "5.1.2026", "source": " chargeback "})
    assert told == Told("7", "pay", datetime(2026, 1, 4, 23, tzinfo=UTC), "chargeback")


def test_no_label_may_prove_true() -> None:
    assert truths.check(factories.project(), {"external_id": "1", "label": None}).label is None


# Keeping


def test_telling_twice_adds_nothing(database: Database, held: Setting, ann: Actor) -> None:
    factories.submit(database, held, [factories.raw("1"), factories.raw("2")])
    rows = [Told("1", "deny", MONDAY, "chargeback"), Told("2", None), Told("1", "deny", MONDAY, "chargeback")]
    assert [each.state for each in tell(database, held, *rows, by=ann)] == ["kept", "kept", "known"]
    assert [each.state for each in tell(database, held, *rows, by=ann)] == ["known"] * 3
    assert database.read(lambda s: s.scalar(select(func.count(Truth.id)))) == 2
    acts = database.read(lambda s: list(s.execute(select(Activity.verb, Activity.after).where(Activity.actor_id == ann.id))))
    assert acts == [("item.truth", {"new": 2})]
    assert stands(database) == "deny"
    assert stands(database, 2) is None


def test_what_turned_out_last_stands_and_a_conflict_is_told(database: Database, held: Setting) -> None:
    factories.submit(database, held, [factories.raw("1")])
    later = MONDAY + timedelta(days=30)
    (first,) = tell(database, held, Told("1", "deny", later, "court"))
    assert first.conflict is None
    (older,) = tell(database, held, Told("1", "pay", MONDAY, "chargeback"))
    assert older.conflict == "'deny' was told as of 2026-02-04 by court; 'deny' stands"
    assert stands(database) == "deny"
    (newer,) = tell(database, held, Told("1", None, later))
    assert newer.conflict == "'deny' was told as of 2026-02-04 by court; no label stands"
    assert stands(database) is None
    (again,) = tell(database, held, Told("1", "deny", later, "court"))
    assert (again.state, again.conflict) == ("known", "no label was told as of 2026-02-04; no label stands")


def test_an_unknown_id_is_told_and_the_others_are_kept(database: Database, held: Setting) -> None:
    factories.submit(database, held, [factories.raw("1")])
    unknown, kept = tell(database, held, Told("nobody", "pay"), Told("1", "pay"))
    assert (unknown.state, kept.state) == ("invalid", "kept")
    assert unknown.problem == "claims has no claim 'nobody'; send the item first"


def test_it_belongs_to_the_revision_that_stands(database: Database, held: Setting) -> None:
    factories.submit(database, held, [factories.raw("1")])
    other = factories.person(database, "shop", "viewer")
    database.write(withdrawal.replace, held, intake.check(held.project, factories.raw("1", amount=7)), by=other)
    tell(database, held, Told("1", "pay", MONDAY))
    assert stands(database, 1) == "nothing"
    assert stands(database, 2) == "pay"


def test_a_position_in_the_sequence_says_what_stood(database: Database, held: Setting) -> None:
    factories.submit(database, held, [factories.raw("1")])
    tell(database, held, Told("1", "deny", MONDAY, "chargeback"))
    database.write(events.sequence)
    first = database.read(events.head)
    tell(database, held, Told("1", "pay", MONDAY + timedelta(days=1)))
    assert stands(database) == "pay"
    database.write(events.sequence)
    assert (stands(database, 1, first - 1), stands(database, 1, first), stands(database, 1, first + 1)) == (
        "nothing",
        "deny",
        "pay",
    )
    assert database.read(events.after, held.id, first - 1)[0].body == {
        "external_id": "1",
        "true_label": "deny",
        "true_source": "chargeback",
        "known_at": "2026-01-05T00:00:00+00:00",
    }


def test_many_at_once_keep_it_once(database: Database, held: Setting) -> None:
    factories.submit(database, held, [factories.raw(str(n)) for n in range(20)])
    rows = [Told(str(n), "pay", MONDAY) for n in range(20)]
    turned = list(reversed(rows))
    assert at_once([lambda: tell(database, held, *rows), lambda: tell(database, held, *turned)] * 3) == []
    assert database.read(lambda s: s.scalar(select(func.count(Truth.id)))) == 20


def test_an_answer_can_be_taken_back_although_something_proved_true(database: Database, held: Setting, ann: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    (case,) = take(database, held, ann)
    stored = database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
    tell(database, held, Told("1", "deny", MONDAY))
    database.write(decisions.undo, ann, stored.id)
    database.write(events.sequence)
    assert [each.kind for each in database.read(events.after, held.id, 0)] == ["truth"]


# Evidence


def test_elsewhere_it_changes_no_evidence_at_all(database: Database) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}))
    factories.routed(database, held, {"1": factories.says("pay", 0.96), "2": factories.says("pay", 0.6)})
    before, waiting = draws(database), states(database)
    tell(database, held, Told("1", "deny", MONDAY), Told("2", "pay", MONDAY))
    assert (draws(database), states(database)) == (before, waiting)
    assert ("audit", "pending") in waiting


@pytest.mark.parametrize(("label", "loss"), [("pay", 0), ("deny", 1), (None, 1)])
def test_where_it_is_seen_for_every_item_it_is_evidence(database: Database, label: str | None, loss: int) -> None:
    held = seen_for_all(database)
    factories.routed(database, held, {"1": factories.says("pay", 0.96)})
    assert states(database) == [("audit", "pending")]
    tell(database, held, Told("1", label, MONDAY))
    assert draws(database) == [("evidence", "truth", loss)]
    assert states(database) == [("audit", "cancelled")]


def test_a_check_that_somebody_holds_goes_on(database: Database, ann: Actor) -> None:
    held = seen_for_all(database)
    factories.routed(database, held, {"1": factories.says("pay", 0.96)})
    (case,) = take(database, held, ann)
    tell(database, held, Told("1", "deny", MONDAY))
    assert states(database) == [("audit", "in_progress")]
    database.write(decisions.answer, ann, case.task_id, case.token, "a", "pay")
    database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
    assert draws(database) == [("evidence", "truth", 1)]


def test_a_review_waits_on_while_its_evidence_is_there(database: Database) -> None:
    held = seen_for_all(database)
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    tell(database, held, Told("1", "pay", MONDAY))
    assert draws(database) == [("evidence", "truth", 0)]
    assert states(database) == [("review", "pending")]


def test_what_fell_due_before_stays_an_error(database: Database, move: Move) -> None:
    held = seen_for_all(database)
    factories.routed(database, held, {"1": factories.says("pay", 0.96)})
    move(timedelta(days=8))
    database.write(outcomes.resolve_overdue)
    tell(database, held, Told("1", "pay", MONDAY))
    assert draws(database) == [("evidence", "overdue", 1)]
    assert database.read(lambda s: s.scalar(select(func.count(Task.id)).where(Task.state == "pending"))) == 1
