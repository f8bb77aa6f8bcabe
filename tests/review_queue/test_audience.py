"""For whom a task waits: too many skips, escalations, overdue tasks, and what taking them back gives back."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from db.engine import Database
from db.tables import Activity, Task
from review_queue import audience, cases, claims, decisions, outcomes
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import AlreadyDecided, Invalid
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Move, Statements, take


def verbs(database: Database, verb: str) -> list[tuple[int | None, Any]]:
    query = select(Activity.actor_id, Activity.after).where(Activity.verb == verb).order_by(Activity.id)
    return list(database.read(lambda s: s.execute(query).tuples().all()))


def decide(database: Database, actor: Actor, case: cases.Case, verdict: str, **said: Any) -> int:
    told = Said(str(uuid4()), verdict, **said)  # type: ignore[arg-type]
    return database.write(decisions.decide, actor, case.task_id, case.token, told).id


def people(database: Database, *names: str) -> list[Actor]:
    return [factories.person(database, name) for name in names]


def waits_for(database: Database) -> list[tuple[str, str, int]]:
    return [(t.audience, t.state, t.skips) for t in factories.tasks(database)]


pytestmark = pytest.mark.usefixtures("sound")


@pytest.fixture
def held(database: Database) -> Setting:
    return factories.setting(database, wished=factories.policy(review={"max_skips": 2}))


def test_the_last_skip_that_the_policy_allows_leaves_the_case_to_leads(database: Database, held: Setting, lea: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    ann, bob, cid = people(database, "ann", "bob", "cid")
    decide(database, ann, take(database, held, ann)[0], "skip")
    assert waits_for(database) == [("reviewers", "pending", 1)]
    decide(database, bob, take(database, held, bob)[0], "skip")
    assert waits_for(database) == [("leads", "pending", 2)]
    assert take(database, held, cid) == []
    assert len(take(database, held, lea)) == 1
    assert verbs(database, "task.to-leads") == [(None, {"task": "1", "why": "skipped"})]


def test_a_skip_that_is_taken_back_gives_the_case_back_to_reviewers(database: Database, held: Setting) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    ann, bob, cid = people(database, "ann", "bob", "cid")
    decide(database, ann, take(database, held, ann)[0], "skip")
    last = decide(database, bob, take(database, held, bob)[0], "skip")
    database.write(decisions.undo, bob, last)
    assert waits_for(database) == [("reviewers", "in_progress", 1)]
    database.write(claims.release, bob, [case.token for case in take(database, held, bob)])
    assert len(take(database, held, cid)) == 1


def test_a_lead_who_skips_leaves_it_to_other_leads(database: Database, held: Setting, lea: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    (ann,) = people(database, "ann")
    decide(database, ann, take(database, held, ann)[0], "escalate")
    skip = decide(database, lea, take(database, held, lea)[0], "skip")
    assert waits_for(database) == [("leads", "pending", 1)]
    database.write(decisions.undo, lea, skip)
    assert waits_for(database) == [("leads", "in_progress", 0)]  # the escalation stands


def test_an_escalation_can_be_taken_back_while_nobody_holds_the_case(database: Database, held: Setting, lea: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    (ann,) = people(database, "ann")
    case = take(database, held, ann)[0]
    escalated = decide(database, ann, case, "escalate", comment="odd")
    last = database.read(decisions.last_of, ann, held.id)
    assert last is not None
    assert last.id == escalated
    assert database.write(decisions.undo, ann, escalated) == case.task_id
    assert waits_for(database) == [("reviewers", "in_progress", 0)]
    again = take(database, held, ann)
    assert [each.token for each in again] == [case.token]
    decide(database, ann, again[0], "accept")
    assert waits_for(database) == [("reviewers", "completed", 0)]


def test_an_escalation_that_a_lead_holds_or_that_was_taken_back_stays(database: Database, held: Setting, lea: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6), "2": factories.says("pay", 0.7)})
    ann, bob = people(database, "ann", "bob")
    case = take(database, held, ann)[0]
    escalated = decide(database, ann, case, "escalate")
    with pytest.raises(AlreadyDecided):
        database.write(decisions.decide, ann, case.task_id, case.token, Said("other", "accept"))
    taken = take(database, held, lea)[0]
    assert taken.task_id == case.task_id
    with pytest.raises(Invalid, match="somebody else has the case"):
        database.write(decisions.undo, ann, escalated)
    database.write(claims.release, lea, [taken.token])
    database.write(decisions.undo, ann, escalated)
    database.write(claims.release, ann, [case.token])
    assert waits_for(database)[0] == ("reviewers", "pending", 0)
    with pytest.raises(Invalid, match="taken back before"):
        database.write(decisions.undo, ann, escalated)
    again = next(each for each in take(database, held, bob, 2) if each.task_id == case.task_id)
    database.write(claims.release, bob, [again.token])
    assert waits_for(database)[0][0] == "reviewers"


def test_a_lead_who_has_another_seat_by_then_cannot_take_an_escalation_back(database: Database, lea: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(review={"reviewers": 2}))
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    escalated = decide(database, lea, take(database, held, lea)[0], "escalate")
    decide(database, lea, take(database, held, lea)[0], "accept")
    with pytest.raises(Invalid):
        database.write(decisions.undo, lea, escalated)


@pytest.fixture
def late(database: Database) -> Setting:
    wished = {"due": "1h", "on_overdue": "leads"}
    return factories.setting(database, wished=factories.policy(audit={"rate": 1.0}, review=wished))


def test_what_is_overdue_goes_to_leads_whatever_its_kind(database: Database, late: Setting, lea: Actor, move: Move) -> None:
    factories.routed(database, late, {"1": factories.says("pay", 0.6), "2": factories.says("pay", 0.97)})
    (ann,) = people(database, "ann")
    assert {task.kind for task in factories.tasks(database)} == {"review", "audit"}
    assert database.write(audience.hand_on_overdue) == 0
    move(timedelta(minutes=61))
    assert database.write(audience.hand_on_overdue, limit=1) == 1
    assert database.write(audience.hand_on_overdue) == 1
    assert database.write(audience.hand_on_overdue) == 0
    assert {task.audience for task in factories.tasks(database)} == {"leads"}
    assert [after["why"] for actor, after in verbs(database, "task.to-leads") if actor is None] == ["overdue", "overdue"]
    assert take(database, late, ann) == []
    assert len(take(database, late, lea, 2)) == 2


def test_what_somebody_holds_is_not_taken_from_them_for_being_late(database: Database, late: Setting, move: Move) -> None:
    factories.routed(database, late, {"1": factories.says("pay", 0.6)})
    (ann,) = people(database, "ann")
    case = take(database, late, ann)[0]
    move(timedelta(minutes=61))
    assert database.write(audience.hand_on_overdue) == 0
    skip = database.write(decisions.answer, ann, case.task_id, case.token, "k", "pay")
    assert skip.stage == "first"


def test_an_escalation_taken_back_after_the_due_time_stays_with_leads(database: Database, late: Setting, move: Move) -> None:
    factories.routed(database, late, {"1": factories.says("pay", 0.6)})
    (ann,) = people(database, "ann")
    escalated = decide(database, ann, take(database, late, ann)[0], "escalate")
    move(timedelta(hours=2))
    database.write(decisions.undo, ann, escalated)
    assert factories.tasks(database)[0].audience == "leads"


def test_without_the_wish_nothing_moves(database: Database, move: Move) -> None:
    held = factories.setting(database, wished=factories.policy(review={"due": "1h"}))
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    move(timedelta(days=2))
    assert database.write(audience.hand_on_overdue) == 0
    assert factories.tasks(database)[0].audience == "reviewers"


def test_overdue_tasks_are_found_by_their_index(database: Database, late: Setting, move: Move) -> None:
    factories.routed(database, late, {"1": factories.says("pay", 0.6)})
    move(timedelta(hours=2))
    with Statements(database.engine) as seen:
        database.write(audience.hand_on_overdue)
    update = next(text for text in seen.texts if text.lstrip().startswith("UPDATE task"))
    assert "task.state = 'pending'" in update
    assert "task.audience = 'reviewers'" in update
    if database.engine.dialect.name == "sqlite":
        plan = database.read(
            lambda s: s.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {update}", (0,) * update.count("?")).all()
        )
        assert any("task_late" in str(row) for row in plan)


# An adjudication that nothing is left for


@pytest.fixture
def two(database: Database) -> Setting:
    return factories.setting(database, wished=factories.policy(review={"reviewers": 2}))


def disputed(database: Database, held: Setting) -> tuple[Actor, Actor, int]:
    """Two seats that disagree; the id of the second answer."""
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    ann, bob = people(database, "ann", "bob")
    decide(database, ann, take(database, held, ann)[0], "accept")
    last = decide(database, bob, take(database, held, bob)[0], "correct", label="deny")
    return ann, bob, last


def adjudication(database: Database) -> Task:
    (task,) = factories.tasks(database, kind="adjudication")
    return task


def test_an_adjudication_goes_with_the_answer_that_asked_for_it(database: Database, two: Setting) -> None:
    _, bob, last = disputed(database, two)
    assert adjudication(database).state == "pending"
    database.write(decisions.undo, bob, last)
    gone = adjudication(database)
    assert gone.state == "cancelled"
    assert gone.closed_at is not None
    decide(database, bob, take(database, two, bob)[0], "accept")
    stands = database.read(lambda s: outcomes.standing(s, 1))
    assert stands is not None
    assert stands.label == "pay"
    assert adjudication(database).state == "cancelled"


def test_it_comes_again_with_the_next_dispute(database: Database, two: Setting) -> None:
    _, bob, last = disputed(database, two)
    database.write(decisions.undo, bob, last)
    decide(database, bob, take(database, two, bob)[0], "correct", label="deny")
    again = adjudication(database)
    assert (again.state, again.closed_at) == ("pending", None)


def test_what_somebody_settles_already_stays(database: Database, two: Setting) -> None:
    _, bob, last = disputed(database, two)
    (cid,) = people(database, "cid")
    take(database, two, cid)
    database.write(decisions.undo, bob, last)
    assert adjudication(database).state == "in_progress"


def test_a_blind_dispute_of_a_draw_stays_when_the_final_answer_is_taken_back(database: Database) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}))
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    (ann,) = people(database, "ann")
    case = take(database, held, ann)[0]
    database.write(decisions.answer, ann, case.task_id, case.token, "first", "deny")
    final = decide(database, ann, case, "accept")
    database.write(decisions.undo, ann, final)
    assert adjudication(database).state == "pending"
