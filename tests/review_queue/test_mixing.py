"""Gold among people's work: who gets it, where it stands, and that nothing follows from its answer."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from db.engine import Database
from db.tables import Claim, Decision, Draw, Gold, GoldTurn, Outbox, Outcome, Task
from review_queue import (
    activity,
    acts,
    cases,
    claims,
    decisions,
    filters,
    find,
    flags,
    gold,
    insights,
    lists,
    mixing,
    outcomes,
    parking,
    people,
    requests,
    tallies,
    withdrawal,
)
from review_queue.activity import Actor
from review_queue.acts import Wanted
from review_queue.decisions import Said
from review_queue.errors import Forbidden, Refused
from review_queue.projects import Setting
from tests import factories
from tests.review_queue import known
from tests.review_queue.acting import Move, at_once, take
from tests.review_queue.known import given, golden, house, named, say

pytestmark = pytest.mark.usefixtures("sound")


@pytest.fixture
def held(database: Database, monkeypatch: pytest.MonkeyPatch) -> Setting:
    known.always(monkeypatch)
    return factories.setting(database, wished=factories.policy(**known.POLICY))


@pytest.fixture
def own(database: Database) -> Actor:
    return factories.person(database, "own", "owner")


@pytest.fixture
def case(database: Database, held: Setting, own: Actor, ann: Actor) -> cases.Case:
    named(database, held, own, {"known": "deny"})
    return given(database, held, ann)


def counted(database: Database, table: type[Draw] | type[Outcome] | type[Outbox]) -> int:
    return database.read(lambda session: session.scalar(select(func.count()).select_from(table)) or 0)


def test_gold_comes_among_the_next_cases_of_the_person_drawn(
    database: Database, held: Setting, ann: Actor, bob: Actor, case: cases.Case
) -> None:
    (task,) = golden(database)
    assert (task.assignee_id, task.assigned_until, task.blind, task.seat, task.state) == (ann.id, None, True, 1, "in_progress")
    waiting = {each.rank for each in factories.tasks(database, kind="review")}
    assert task.rank in waiting
    assert case.external_id == "known"
    assert case.blind
    assert case.prediction is None


def test_nobody_else_is_given_it(database: Database, held: Setting, ann: Actor, bob: Actor, own: Actor) -> None:
    named(database, held, own, {"known": "deny"})
    factories.routed(database, held, {f"w{n}": factories.says("pay", 0.6) for n in range(3)})
    house(database)
    take(database, held, ann)
    house(database)
    assert [task.assignee_id for task in golden(database)] == [ann.id]
    assert {each.external_id for each in take(database, held, bob, 10)} == {"w1", "w2"}


def test_never_twice_to_one_person(database: Database, held: Setting, ann: Actor, case: cases.Case) -> None:
    say(database, ann, case, "deny")
    for n in range(8):
        factories.routed(database, held, {f"x{n}": factories.says("pay", 0.6)})
        house(database)
        [say(database, ann, each, "pay") for each in take(database, held, ann)]
    assert len(golden(database)) == 1


def test_another_person_may_have_the_same_item_in_a_seat_of_their_own(
    database: Database, held: Setting, ann: Actor, bob: Actor, case: cases.Case
) -> None:
    say(database, ann, case, "deny")
    factories.routed(database, held, {f"y{n}": factories.says("pay", 0.6) for n in range(3)})
    take(database, held, bob)
    house(database)
    assert [(task.assignee_id, task.seat) for task in golden(database)] == [(ann.id, 1), (bob.id, 2)]


def test_whoever_had_a_part_in_the_item_does_not_get_it(database: Database, held: Setting) -> None:
    for part in ("answered", "skipped", "released", "escalated", "asked", "flagged", "named"):
        had = factories.person(database, f"{part}", "owner")
        other, names = factories.person(database, f"{part}-other", "lead"), factories.person(database, f"{part}-names", "owner")
        factories.routed(database, held, {part: factories.says("pay", 0.6)})
        takes_part(database, held, had, other, part)
        database.write(gold.add, held, part, "deny", by=had if part == "named" else names)
        factories.routed(database, held, {f"waits-{part}": factories.says("pay", 0.6)})
        assert database.write(mixing.put, held, had.id) is False, part
        fresh = factories.person(database, f"{part}-fresh")
        assert database.write(mixing.put, held, fresh.id) is True, part
        assert database.write(mixing.put, held, fresh.id) is False  # it waits for them already
        database.write(gold.end, held, part, by=names)
        [say(database, other, each, "pay") for each in take(database, held, other)]
        house(database)


def takes_part(database: Database, held: Setting, had: Actor, other: Actor, part: str) -> None:
    """Somebody has a part in the item that bears its name, and another person answers it."""
    if part in ("asked", "flagged", "named"):
        [say(database, other, each, "pay") for each in take(database, held, other)]
    if part == "asked":
        database.write(requests.request, held, part, "look", by=had)
        third = factories.person(database, f"{part}-third")
        [say(database, third, each, "pay") for each in take(database, held, third)]
    elif part == "flagged":
        item_id = factories.tasks(database, state="completed")[-1].item_id
        database.write(flags.flag, held, had, item_id)
    elif part == "answered":
        [say(database, had, each, "pay") for each in take(database, held, had)]
    elif part != "named":
        (case,) = take(database, held, had)
        verdict: decisions.Verdict = "skip" if part == "skipped" else "escalate"
        if part == "released":
            database.write(claims.release, had, [case.token])
        else:
            database.write(decisions.decide, had, case.task_id, case.token, Said(part, verdict))
        [say(database, other, each, "pay") for each in take(database, held, other)]


def test_nothing_follows_from_its_answer(database: Database, held: Setting, ann: Actor, case: cases.Case) -> None:
    before = counted(database, Outcome), counted(database, Outbox), counted(database, Draw)
    say(database, ann, case, "deny")
    assert (counted(database, Outcome), counted(database, Outbox), counted(database, Draw)) == before
    (first, final) = database.read(lambda s: list(s.scalars(select(Decision).where(Decision.task_id == case.task_id))))
    assert (first.basis, first.stage, first.label, first.seconds) == ("gold", "first", "deny", 4.0)
    assert (final.basis, final.stage, final.label, final.seconds) == ("gold", "final", "deny", 2.0)
    assert not factories.tasks(database, kind="adjudication")
    found = database.read(insights.insight, held.id)
    assert found.judged == len(factories.tasks(database, kind="review", state="completed"))


def test_undo_skip_escalation_and_parking_are_as_ever(
    database: Database, held: Setting, ann: Actor, case: cases.Case, move: Move
) -> None:
    for verdict in ("skip", "escalate"):
        stored = database.write(decisions.decide, ann, case.task_id, case.token, Said(verdict, verdict))
        house(database)
        assert [task.state for task in golden(database)] == ["pending"]
        database.write(decisions.undo, ann, stored.id, session_name="s")
    database.write(parking.park, ann, case.task_id, case.token, None, "later")
    assert [each.external_id for each in database.read(parking.parked, held.id, ann)] == ["known"]
    database.write(parking.resume, ann, case.task_id, session_name="s")
    database.write(claims.release, ann, [case.token])
    (task,) = golden(database)
    assert (task.assignee_id, task.assigned_until, task.state) == (ann.id, None, "pending")
    (again,) = take(database, held, ann)
    assert again.task_id == case.task_id
    stored = say(database, ann, again, "deny")
    database.write(decisions.undo, ann, stored.id, session_name="s")
    say(database, ann, again, "deny", Said("changed", "accept"))
    assert database.read(decisions.last_of, ann, held.id).label == "pay"  # type: ignore[union-attr]


def test_a_lease_that_runs_out_keeps_the_first_answer(
    database: Database, held: Setting, ann: Actor, case: cases.Case, move: Move
) -> None:
    database.write(decisions.answer, ann, case.task_id, case.token, "f", "deny", 3.0)
    move(held.policy.review.lease * 2)
    house(database)
    rows = database.read(lambda s: list(s.scalars(select(Decision).where(Decision.task_id == case.task_id))))
    assert [(row.stage, row.label, row.basis) for row in rows] == [("first", "deny", "gold"), ("final", "deny", "gold")]
    assert [task.state for task in golden(database)] == ["completed"]


def test_a_parked_one_comes_back_to_its_person_alone(
    database: Database, held: Setting, ann: Actor, lea: Actor, case: cases.Case, move: Move
) -> None:
    database.write(parking.park, ann, case.task_id, case.token, None, "later")
    database.write(parking.unpark, case.task_id, by=lea)
    (task,) = golden(database)
    assert (task.state, task.assignee_id, task.assigned_until) == ("pending", ann.id, None)


def test_what_was_left_is_taken_back_later(database: Database, held: Setting, ann: Actor, case: cases.Case, move: Move) -> None:
    database.write(decisions.decide, ann, case.task_id, case.token, Said("s", "skip"))
    house(database)
    assert [task.state for task in golden(database)] == ["pending"]
    move(mixing.LEFT + timedelta(minutes=1))
    house(database)
    assert [task.state for task in golden(database)] == ["cancelled"]
    assert database.read(tallies.read, held.id)["open"] == len(factories.tasks(database, state="pending"))


def test_what_waits_for_somebody_who_went_home_or_was_shut_out_is_taken_back(
    database: Database, held: Setting, ann: Actor, case: cases.Case, move: Move
) -> None:
    database.write(claims.release, ann, [case.token])
    house(database)
    assert [task.state for task in golden(database)] == ["pending"]
    move(mixing.AWAY + timedelta(minutes=1))
    house(database)
    assert [task.state for task in golden(database)] == ["cancelled"]


def test_an_item_that_is_cancelled_takes_its_gold_along(
    database: Database, held: Setting, ann: Actor, lea: Actor, case: cases.Case
) -> None:
    database.write(withdrawal.cancel, held, "known", by=lea)
    assert [task.state for task in golden(database)] == ["cancelled"]
    assert database.write(claims.heartbeat, ann, [case.token], timedelta(minutes=1)) == [case.token]


def test_find_and_requests_say_what_they_say_of_any_blind_case(
    database: Database, held: Setting, ann: Actor, bob: Actor, lea: Actor, case: cases.Case
) -> None:
    with pytest.raises(Forbidden, match="waits for a blind answer"):
        database.read(find.record, held, "known", by=ann)
    with pytest.raises(Refused, match="answer it first"):
        database.write(requests.request, held, "known", "why", by=ann)
    assert database.read(find.record, held, "known", by=bob).decisions == ()
    say(database, ann, case, "deny")
    kinds = {
        by.name: {each.kind for each in database.read(find.record, held, "known", by=by).decisions} for by in (ann, bob, lea)
    }
    assert kinds == {"ann": {"audit"}, "bob": {"audit"}, "lea": {"gold"}}


def test_which_answers_are_known_is_for_owners_to_read(
    database: Database, held: Setting, own: Actor, bob: Actor, lea: Actor
) -> None:
    named(database, held, own, {"known": "deny"})
    zone = ZoneInfo("UTC")
    for by, told in ((own, True), (lea, False), (bob, False)):
        rows = database.read(acts.page, held, by, Wanted(), zone).rows
        assert ("gold.add" in {row.verb for row in rows}) is told
        assert ("gold.add" in database.read(acts.verbs, held.id, by)) is told
        assert ("gold.add" in {act.verb for act in database.read(find.record, held, "known", by=by).activity}) is told


def test_the_log_says_nothing_of_a_case_in_hand(database: Database, held: Setting, own: Actor, lea: Actor) -> None:
    """Of a spot check nothing was done before; of a known case something may have been, and how much is not told either."""
    named(database, held, own, {"known": "deny"})
    case = given(database, held, lea)
    database.write(activity.record, None, "task.wake", f"item:{case.item_id}", project_id=held.id)
    page = database.read(acts.page, held, lea, Wanted(subject="known"), ZoneInfo("UTC"))
    assert (page.rows, page.withheld) == ((), 0)
    assert database.read(acts.page, held, own, Wanted(subject="known"), ZoneInfo("UTC")).rows


@pytest.mark.parametrize("verdict", ["skip", "escalate"])
def test_what_was_let_go_is_in_lists_as_any_case(
    database: Database, held: Setting, ann: Actor, bob: Actor, lea: Actor, case: cases.Case, verdict: decisions.Verdict
) -> None:
    def rows(by: Actor, query: str = "") -> list[tuple[str, str | None]]:
        page = database.read(lists.page, held, by, filters.read(held, query))
        return [(row.external_id, row.assigned_to) for row in page.rows]

    assert ("known", None) in rows(ann)
    database.write(decisions.decide, ann, case.task_id, case.token, Said("gone", verdict))
    assert ("known", None) in rows(ann)
    assert "known" not in {name for by in (bob, lea) for name, _ in rows(by)}
    assert "known" not in {name for name, _ in rows(ann, "person=ann")}


def test_whoever_took_another_seat_is_given_no_gold_of_the_item(
    database: Database, held: Setting, own: Actor, ann: Actor, bob: Actor
) -> None:
    named(database, held, own, {"known": "deny"})
    factories.routed(database, held, {"w": factories.says("pay", 0.6)})
    assert database.write(mixing.put, held, ann.id)
    database.write(requests.request, held, "known", "Is it?", by=bob)
    asked = next(each for each in take(database, held, ann, 5) if each.external_id == "known")
    assert asked.requested == "Is it?"
    house(database)
    assert [task.state for task in golden(database)] == ["cancelled"]


def test_nothing_is_made_where_nothing_waits_or_nothing_fits(database: Database, held: Setting, own: Actor, ann: Actor) -> None:
    named(database, held, own, {"known": "deny"})
    assert database.write(mixing.put, held, ann.id) is False
    factories.routed(database, held, {"w": factories.says("pay", 0.6)})
    service = database.write(people.add_person, "robot", role="reviewer", kind="service")
    assert database.write(mixing.put, held, service.id) is False
    assert database.write(mixing.put, held, ann.id) is True


def test_a_prediction_of_another_model_than_waits_is_not_mixed_in(
    database: Database, held: Setting, own: Actor, ann: Actor
) -> None:
    named(database, held, own, {"known": "deny"})
    database.write(factories.champion, held, factories.keys(database).draw_key_id)
    factories.routed(database, held, {"w": factories.says("pay", 0.6)})
    assert database.write(mixing.put, held, ann.id) is False


def test_right_ones_come_where_there_are_no_wrong_ones(database: Database, held: Setting, own: Actor, ann: Actor) -> None:
    named(database, held, own, {"right": "pay"})
    factories.routed(database, held, {"w": factories.says("pay", 0.6)})
    assert database.write(mixing.put, held, ann.id) is True


def test_claims_from_before_are_not_drawn_for(database: Database, held: Setting, own: Actor, ann: Actor, move: Move) -> None:
    named(database, held, own, {"known": "deny"})
    factories.routed(database, held, {f"w{n}": factories.says("pay", 0.6) for n in range(4)})
    house(database)
    take(database, held, ann, 2)
    move(mixing.FRESH * 2)
    house(database)
    assert golden(database) == []
    newest = database.read(lambda s: s.scalar(select(func.max(Claim.id))))
    assert database.read(lambda s: s.get_one(GoldTurn, held.id).claim_id) == newest
    assert not database.read(mixing.is_due)


def test_each_claim_is_drawn_for_once_however_many_houses_look(
    database: Database, held: Setting, own: Actor, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    named(database, held, own, {f"known{n}": "deny" for n in range(9)})
    factories.routed(database, held, {f"w{n}": factories.says("pay", 0.6) for n in range(6)})
    house(database)
    take(database, held, ann, 2)
    assert at_once([lambda: database.write(mixing.mix)] * 4) == []
    assert len(golden(database)) == 2
    assert len({task.item_id for task in golden(database)}) == 2


def test_making_gold_and_cancelling_its_item_at_once_leaves_nothing_open(
    database: Database, held: Setting, own: Actor, lea: Actor, ann: Actor
) -> None:
    named(database, held, own, {f"known{n}": "deny" for n in range(6)})
    factories.routed(database, held, {"w": factories.says("pay", 0.6)})
    acts = [lambda n=n: database.write(withdrawal.cancel, held, f"known{n}", by=lea) for n in range(6)]
    assert at_once([*acts, *[lambda: database.write(mixing.put, held, ann.id)] * 3]) == []
    closed = database.read(lambda s: set(s.scalars(select(Gold.item_id))))
    assert not [task for task in golden(database) if task.item_id in closed and task.state == "pending"]


def test_a_lead_who_had_it_as_gold_may_correct_the_item(database: Database, held: Setting, own: Actor, lea: Actor) -> None:
    named(database, held, own, {"known": "deny"})
    case = given(database, held, lea)
    say(database, lea, case, "pay")
    stored = database.write(decisions.revise, held, lea, "known", Said("r", "correct", "deny"))
    row = database.read(lambda s: s.get_one(Decision, stored.id))
    assert (row.basis, row.label) == ("requested", "deny")
    stands = database.read(outcomes.standing, case.item_id)
    assert stands is not None
    assert (stands.label, stands.source) == ("deny", "human")


def test_counters_at_the_desk_fall_with_gold_as_with_any_case(database: Database, held: Setting, own: Actor, ann: Actor) -> None:
    named(database, held, own, {"known": "deny"})
    factories.routed(database, held, {f"w{n}": factories.says("pay", 0.6) for n in range(3)})
    assert database.write(mixing.put, held, ann.id) is True
    waiting = []
    for _ in range(4):
        waiting.append(database.read(insights.waiting, held.id))
        [say(database, ann, each, "pay") for each in take(database, held, ann)]
    assert waiting == [4, 3, 2, 1]
    assert {task.state for task in factories.tasks(database)} == {"completed"}


def test_no_gold_task_is_left_to_others_in_the_tables(database: Database, case: cases.Case) -> None:
    tasks = database.read(lambda s: list(s.scalars(select(Task).where(Task.kind == "gold"))))
    assert all(task.requested is None and not task.shared for task in tasks)
