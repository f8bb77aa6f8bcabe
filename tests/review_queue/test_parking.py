"""Cases put aside: who may, until when, who gets them first, and what taking it back does."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from db.engine import Database
from db.tables import Activity, Claim, Person, Task
from review_queue import cases, claims, clock, decisions, insights, parking
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import ClaimExpired, Forbidden, Invalid, NotFound, Refused
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Move, take

pytestmark = pytest.mark.usefixtures("sound")


@pytest.fixture
def case(database: Database, held: Setting, ann: Actor) -> cases.Case:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    return take(database, held, ann)[0]


def task_of(database: Database) -> Task:
    return factories.tasks(database)[0]


def tomorrow() -> datetime:
    return clock.now() + timedelta(days=1)


def test_a_parked_case_is_nobodys_and_waits_for_nobody(
    database: Database, held: Setting, ann: Actor, bob: Actor, case: cases.Case
) -> None:
    until = tomorrow()
    parked = database.write(parking.park, ann, case.task_id, case.token, until, "the garage calls back")
    assert (parked.person, parked.until, parked.note, parked.external_id) == ("ann", until, "the garage calls back", "1")
    assert task_of(database).state == "parked"
    assert take(database, held, ann) == []
    assert take(database, held, bob) == []
    assert database.read(insights.waiting, held.id) == 0
    assert database.read(insights.backlog, held.id).waiting == 0
    assert database.read(parking.parked, held.id, ann) == [parked]
    assert database.read(parking.parked, held.id, bob) == []
    with pytest.raises(ClaimExpired):
        database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
    (done,) = database.read(lambda s: list(s.scalars(select(Activity).where(Activity.verb == "task.park"))))
    assert (done.actor_id, done.after) == (ann.id, {"task": str(case.task_id), "until": until.isoformat()})


def test_a_retry_of_parking_changes_nothing(database: Database, ann: Actor, case: cases.Case) -> None:
    first = database.write(parking.park, ann, case.task_id, case.token, None, "until it changes")
    assert database.write(parking.park, ann, case.task_id, case.token, None, "until it changes") == first
    assert first.until is None


def test_when_its_day_has_come_it_is_its_persons_first_and_then_anybodys(
    database: Database, held: Setting, ann: Actor, bob: Actor, case: cases.Case, move: Move
) -> None:
    database.write(parking.park, ann, case.task_id, case.token, tomorrow())
    assert database.write(parking.wake) == 0
    move(timedelta(days=1, minutes=1))
    assert database.write(parking.wake) == 1
    assert database.write(parking.wake) == 0
    task = task_of(database)
    assert (task.state, task.assignee_id, task.parked_until) == ("pending", ann.id, None)
    assert take(database, held, bob) == []
    move(timedelta(hours=25))
    assert len(take(database, held, bob)) == 1


def test_its_person_takes_it_as_any_other_case(
    database: Database, held: Setting, ann: Actor, case: cases.Case, move: Move
) -> None:
    database.write(parking.park, ann, case.task_id, case.token, tomorrow())
    move(timedelta(days=1, minutes=1))
    database.write(parking.wake)
    again = take(database, held, ann)[0]
    assert again.task_id == case.task_id
    database.write(decisions.decide, ann, again.task_id, again.token, Said("k", "accept"))
    assert task_of(database).state == "completed"


def test_the_day_that_is_its_persons_is_a_working_day(database: Database, ann: Actor, move: Move) -> None:
    wished = factories.policy(calendar={"days": "mon-fri", "hours": "9-17"})
    setting = factories.setting(database, wished=wished)
    factories.routed(database, setting, {"1": factories.says("pay", 0.6)})
    case = take(database, setting, ann)[0]
    database.write(parking.park, ann, case.task_id, case.token, tomorrow())
    move(timedelta(days=1, minutes=1))
    database.write(parking.wake)
    until = task_of(database).assigned_until
    assert until is not None
    assert until - clock.now() > timedelta(hours=15)
    assert until.weekday() < 5
    assert 9 <= until.hour <= 17


@pytest.mark.parametrize("gone", ["disabled", "answered another seat"])
def test_a_person_who_cannot_take_it_any_more_does_not_keep_it(
    database: Database, ann: Actor, bob: Actor, move: Move, gone: str
) -> None:
    setting = factories.setting(database, wished=factories.policy(review={"reviewers": 2}))
    factories.routed(database, setting, {"1": factories.says("pay", 0.6)})
    case = take(database, setting, ann)[0]
    database.write(parking.park, ann, case.task_id, case.token, tomorrow())
    if gone == "disabled":
        database.write(lambda s: setattr(s.get_one(Person, ann.id), "disabled_at", clock.now()))
    else:
        other = take(database, setting, ann)[0]
        database.write(decisions.decide, ann, other.task_id, other.token, Said("k", "accept"))
    move(timedelta(days=1, minutes=1))
    database.write(parking.wake)
    assert task_of(database).assignee_id is None
    assert case.task_id in {each.task_id for each in take(database, setting, bob, 2)}


def test_until_the_item_changes_has_no_date(database: Database, ann: Actor, case: cases.Case, move: Move) -> None:
    database.write(parking.park, ann, case.task_id, case.token)
    move(timedelta(days=800))
    assert database.write(parking.wake) == 0


Wrong = Callable[[], dict[str, object]]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: {"until": clock.now() - timedelta(seconds=1)}, "is past"),
        (lambda: {"until": clock.now() + timedelta(days=367)}, "more than a year"),
        (lambda: {"until": datetime(2999, 1, 1)}, "names no time zone"),
        (lambda: {"note": "x" * 2001}, "at most 2,000"),
        (lambda: {"note": "a\x00b"}, "NUL"),
        (lambda: {"note": "\ud800"}, "surrogate"),
    ],
)
def test_what_cannot_be_is_refused(database: Database, ann: Actor, case: cases.Case, wrong: Wrong, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        database.write(parking.park, ann, case.task_id, case.token, **wrong())  # type: ignore[arg-type]
    assert task_of(database).state == "in_progress"


def test_another_persons_case_and_a_lost_one_cannot_be_parked(
    database: Database, held: Setting, ann: Actor, bob: Actor, case: cases.Case
) -> None:
    with pytest.raises(ClaimExpired):
        database.write(parking.park, bob, case.task_id, case.token)
    with pytest.raises(ClaimExpired):
        database.write(parking.park, ann, 99, case.token)
    database.write(claims.release, ann, [case.token])
    with pytest.raises(ClaimExpired):
        database.write(parking.park, ann, case.task_id, case.token)


def test_a_blind_case_with_its_first_answer_is_decided_not_parked(database: Database, ann: Actor) -> None:
    setting = factories.setting(database, wished=factories.policy(review={"blind_first": "all"}))
    factories.routed(database, setting, {"1": factories.says("pay", 0.6)})
    case = take(database, setting, ann)[0]
    database.write(decisions.answer, ann, case.task_id, case.token, "first", "pay")
    with pytest.raises(Invalid, match="first answer is stored"):
        database.write(parking.park, ann, case.task_id, case.token)


def test_its_person_brings_it_back_and_gets_it_first(
    database: Database, held: Setting, ann: Actor, bob: Actor, case: cases.Case
) -> None:
    database.write(parking.park, ann, case.task_id, case.token)
    with pytest.raises(Forbidden, match="another person"):
        database.write(parking.unpark, case.task_id, by=bob)
    database.write(parking.unpark, case.task_id, by=ann)
    assert take(database, held, bob) == []
    assert len(take(database, held, ann)) == 1
    with pytest.raises(Refused, match="not parked"):
        database.write(parking.unpark, case.task_id, by=ann)
    with pytest.raises(NotFound):
        database.write(parking.unpark, 99, by=ann)


def test_a_lead_sees_all_that_is_parked_and_brings_it_back_for_all(
    database: Database, held: Setting, ann: Actor, bob: Actor, lea: Actor, case: cases.Case
) -> None:
    database.write(parking.park, ann, case.task_id, case.token)
    assert [each.person for each in database.read(parking.parked, held.id, lea)] == ["ann"]
    assert database.read(parking.parked, held.id, lea, own=True) == []
    database.write(parking.unpark, case.task_id, by=lea)
    assert len(take(database, held, bob)) == 1


def test_a_lead_puts_aside_what_nobody_holds(database: Database, held: Setting, ann: Actor, lea: Actor, case: cases.Case) -> None:
    with pytest.raises(Forbidden):
        database.write(parking.put_aside, case.task_id, None, None, by=ann)
    with pytest.raises(Refused, match="release it first"):
        database.write(parking.put_aside, case.task_id, None, None, by=lea)
    database.write(claims.release, ann, [case.token])
    parked = database.write(parking.put_aside, case.task_id, None, "the insurer is closed", by=lea)
    assert parked.person is None
    with pytest.raises(Refused, match="is parked"):
        database.write(parking.put_aside, case.task_id, None, None, by=lea)
    database.write(parking.unpark, case.task_id, by=lea)
    assert len(take(database, held, ann)) == 1


def test_a_parking_is_taken_back_at_once(database: Database, held: Setting, ann: Actor, bob: Actor, case: cases.Case) -> None:
    parked = database.write(parking.park, ann, case.task_id, case.token)
    assert database.read(parking.last_of, ann, held.id) == parked
    assert database.read(parking.last_of, bob, held.id) is None
    with pytest.raises(Refused, match="not parked by you"):
        database.write(parking.resume, bob, case.task_id, session_name="s")
    again = database.write(parking.resume, ann, case.task_id, session_name="s")
    assert again.token == case.token
    assert [each.token for each in take(database, held, ann)] == [again.token]
    assert database.read(parking.last_of, ann, held.id) is None
    with pytest.raises(Refused):
        database.write(parking.resume, ann, case.task_id, session_name="s")
    database.write(decisions.decide, ann, case.task_id, again.token, Said("k", "accept"))
    states = database.read(lambda s: list(s.scalars(select(Claim.state).order_by(Claim.id))))
    assert states == ["answered"]


def test_a_label_cannot_go_while_a_case_is_parked(database: Database, held: Setting, ann: Actor, case: cases.Case) -> None:
    from review_queue import projects

    database.write(parking.park, ann, case.task_id, case.token)
    narrow = factories.project(labels={"deny": {}, "other": {}})
    with pytest.raises(Refused, match="1 tasks are open"):
        database.write(projects.apply, narrow, held.policy, "", factories.keys(database).draw_key_id, by=None)
