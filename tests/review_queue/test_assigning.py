"""Tasks that a lead gives to a person, other due times, and filters that are kept under a name."""

from datetime import datetime, timedelta

import pytest

from db.engine import Database
from review_queue import assigning, clock, decisions, filters, members, people, saved_filters
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import Forbidden, Invalid, NotFound, Refused
from review_queue.filters import Filter
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Move, at_once, take

pytestmark = pytest.mark.usefixtures("sound")


def fill(database: Database, held: Setting, n: int = 2) -> None:
    factories.routed(database, held, {str(k): factories.says("pay", 0.6) for k in range(n)})


def test_what_is_given_to_one_is_nobody_elses_until_then(
    database: Database, held: Setting, ann: Actor, bob: Actor, lea: Actor, move: Move
) -> None:
    fill(database, held, 1)
    (task,) = factories.tasks(database)
    database.write(assigning.assign, task.id, "bob", by=lea)
    assert take(database, held, ann) == []
    database.write(assigning.assign, task.id, None, by=lea)
    (case,) = take(database, held, ann)
    database.write(decisions.decide, ann, case.task_id, case.token, Said("s", "skip"))
    database.write(assigning.assign, task.id, "bob", clock.now() + timedelta(hours=2), by=lea)
    assert take(database, held, lea) == []
    move(timedelta(hours=3))
    assert len(take(database, held, lea)) == 1


def test_whom_a_task_cannot_be_given_to(database: Database, held: Setting, ann: Actor, bob: Actor, lea: Actor) -> None:
    fill(database, held)
    eve = factories.person(database, "eve", "viewer")
    first, second = factories.tasks(database)
    case = take(database, held, ann)[0]
    with pytest.raises(Refused, match="held by somebody; release it first"):
        database.write(assigning.assign, case.task_id, "bob", by=lea)
    database.write(decisions.decide, ann, case.task_id, case.token, Said("s", "skip"))
    with pytest.raises(Refused, match="ann has had a part"):
        database.write(assigning.assign, case.task_id, "ann", by=lea)
    with pytest.raises(Refused, match="viewer and this task is for a reviewer"):
        database.write(assigning.assign, case.task_id, eve.name, by=lea)
    with pytest.raises(NotFound, match="no person 'nobody'"):
        database.write(assigning.assign, case.task_id, "nobody", by=lea)
    database.write(people.disable, "bob")
    with pytest.raises(NotFound, match="no person 'bob'"):
        database.write(assigning.assign, case.task_id, "bob", by=lea)
    with pytest.raises(Forbidden, match="for leads"):
        database.write(assigning.assign, case.task_id, "ann", by=ann)
    with pytest.raises(NotFound, match="no task"):
        database.write(assigning.assign, 999, "ann", by=lea)
    other = second.id if case.task_id == first.id else first.id
    next_ = take(database, held, ann)[0]
    assert next_.task_id == other
    database.write(decisions.decide, ann, other, next_.token, Said("e", "escalate"))
    with pytest.raises(Refused, match="for a lead"):
        database.write(assigning.assign, other, "ann", by=lea)
    database.write(assigning.assign, other, "lea", by=lea)


def test_another_due_time_moves_what_is_ordered_by_it(database: Database, ann: Actor, lea: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(review={"order": "due", "due": "4h"}))
    fill(database, held, 2)
    last = factories.tasks(database)[-1]
    soon = clock.now() + timedelta(minutes=1)
    database.write(assigning.set_due, last.id, soon, by=lea)
    assert take(database, held, ann)[0].task_id == last.id
    assert factories.tasks(database, id=last.id)[0].due_at == soon
    database.write(assigning.set_due, last.id, None, by=lea)
    assert factories.tasks(database, id=last.id)[0].due_at is None
    with pytest.raises(Forbidden):
        database.write(assigning.set_due, last.id, soon, by=ann)


@pytest.mark.parametrize(
    "at", [datetime(2026, 1, 1), datetime.fromisoformat("2020-01-01T00:00Z"), datetime.fromisoformat("2100-01-01T00:00Z")]
)
def test_a_moment_that_is_none_is_refused(sqlite: Database, at: datetime) -> None:
    held, lea = factories.setting(sqlite), factories.person(sqlite, "lea", "lead")
    fill(sqlite, held, 1)
    (task,) = factories.tasks(sqlite)
    with pytest.raises(Invalid, match=r"time zone|is past"):
        sqlite.write(assigning.set_due, task.id, at, by=lea)
    with pytest.raises(Invalid, match=r"time zone|is past"):
        sqlite.write(assigning.assign, task.id, "lea", at, by=lea)


def test_a_task_is_given_and_taken_at_once(database: Database, held: Setting, ann: Actor, bob: Actor, lea: Actor) -> None:
    """Either ann has it, and it cannot be given away, or bob was given it, and she finds none."""
    fill(database, held, 1)
    (task,) = factories.tasks(database)
    got: list[int] = []
    lost = at_once(
        [lambda: got.append(len(take(database, held, ann))), lambda: database.write(assigning.assign, task.id, "bob", by=lea)]
    )
    assert (got, [type(each) for each in lost]) in (([1], [Refused]), ([0], []))


def test_filters_are_kept_shared_and_forgotten(database: Database, held: Setting, ann: Actor, bob: Actor, lea: Actor) -> None:
    mine = database.write(saved_filters.save, held, ann, "  my   late ones ", filters.read(held, "state=overdue"))
    assert (mine.name, mine.query, mine.shared, mine.mine) == ("my late ones", "state=overdue", False, True)
    database.write(saved_filters.save, held, ann, "my late ones", filters.read(held, "state=soon"))
    shared = database.write(saved_filters.save, held, lea, "deny", filters.read(held, "label=deny"), shared=True)
    assert [(each.name, each.query, each.mine) for each in database.read(saved_filters.listed, held, ann)] == [
        ("deny", "label=deny", False),
        ("my late ones", "state=soon", True),
    ]
    assert [each.name for each in database.read(saved_filters.listed, held, bob)] == ["deny"]
    with pytest.raises(NotFound, match="of yours"):
        database.write(saved_filters.forget, held, ann, shared.id)
    with pytest.raises(Forbidden, match="for leads"):
        database.write(saved_filters.save, held, ann, "x", Filter(), shared=True)
    with pytest.raises(Forbidden, match="viewer"):
        database.write(saved_filters.save, held, factories.person(database, "eve", "viewer"), "x", Filter())
    database.write(saved_filters.forget, held, ann, mine.id)
    database.write(saved_filters.forget, held, factories.person(database, "olga", "owner"), shared.id)
    assert database.read(saved_filters.listed, held, ann) == []


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "a\x00b", "a\u202eb"])
def test_a_filter_needs_a_name(sqlite: Database, name: str) -> None:
    held, ann = factories.setting(sqlite), factories.person(sqlite, "ann")
    with pytest.raises(Invalid, match="needs a name"):
        sqlite.write(saved_filters.save, held, ann, name, Filter())


def test_nobody_is_given_a_task_of_a_project_that_is_closed_to_them(
    database: Database, held: Setting, bob: Actor, lea: Actor
) -> None:
    fill(database, held, 1)
    (task,) = factories.tasks(database)
    database.write(members.everywhere, "bob", False)
    with pytest.raises(Refused, match="not open to bob"):
        database.write(assigning.assign, task.id, "bob", by=lea)
    database.write(members.grant, "bob", held.name, "viewer")
    with pytest.raises(Refused, match="bob is a viewer"):
        database.write(assigning.assign, task.id, "bob", by=lea)
    database.write(members.grant, "bob", held.name, "reviewer")
    database.write(assigning.assign, task.id, "bob", by=lea)
