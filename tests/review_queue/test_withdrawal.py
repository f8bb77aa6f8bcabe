"""Items that are replaced or cancelled: what ends, what goes on, what leaves the house, under both and at once."""

from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from contract.inputs import REPLACED
from db.engine import Database
from db.tables import Activity, Claim, Decision, Draw, ItemKey, Outcome, Person, Work
from review_queue import (
    batches,
    cases,
    claims,
    clock,
    decisions,
    events,
    find,
    intake,
    parking,
    rules,
    withdrawal,
)
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import ClaimExpired, Forbidden, Full, Invalid, NotFound
from review_queue.intake import Receipt
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Move, Statements, at_once, take


@pytest.fixture
def shop(database: Database) -> Actor:
    return factories.person(database, "shop", "viewer")


pytestmark = pytest.mark.usefixtures("sound")


def put(database: Database, held: Setting, shop: Actor, external_id: str = "1", **changes: Any) -> Receipt:
    wanted = intake.check(held.project, factories.raw(external_id, **changes))
    return database.write(withdrawal.replace, held, wanted, by=shop)


def score(database: Database, held: Setting, sure: float = 0.6, label: str = "pay") -> batches.Written:
    """Score and route what waits, as the worker does."""
    rule = database.read(rules.in_force, held.id, held.policy)
    assert rule is not None
    leased = database.write(batches.lease, held.id, "score", "w", limit=99, seconds=60)
    said = [(item, factories.says(label, sure)) for item in leased]
    return database.write(batches.write, held.id, "w", said, model_id=rule.model_id, keys=factories.keys(database))


def told(database: Database, held: Setting) -> list[tuple[str, dict[str, Any]]]:
    database.write(events.sequence)
    return [(each.kind, each.body) for each in database.read(events.after, held.id, 0)]


def keys(database: Database) -> list[tuple[str, str, int, bool]]:
    rows = database.read(lambda s: list(s.scalars(select(ItemKey).order_by(ItemKey.item_id))))
    return [(row.external_id, row.name, row.revision, row.closed_at is not None) for row in rows]


def states(database: Database) -> list[tuple[int, str, str]]:
    return [(t.item_id, t.kind, t.state) for t in factories.tasks(database)]


def decide(database: Database, actor: Actor, case: cases.Case, verdict: str = "accept", key: str = "k", **said: Any) -> int:
    return database.write(decisions.decide, actor, case.task_id, case.token, Said(key, verdict, **said)).id  # type: ignore[arg-type]


# Replacing


def test_other_content_is_a_new_revision_under_the_same_id(database: Database, held: Setting, shop: Actor, ann: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    receipt = put(database, held, shop, amount=99)
    assert (receipt.external_id, receipt.state, receipt.new) == ("1", "received", True)
    assert keys(database) == [(f"1{REPLACED}1", "1", 1, True), ("1", "1", 2, False)]
    assert states(database) == [(1, "review", "cancelled")]
    assert take(database, held, ann) == []
    score(database, held, 0.7)
    (case,) = take(database, held, ann)
    assert (case.external_id, case.input["amount"]) == ("1", 99)
    assert told(database, held) == [("replaced", {"external_id": "1", "item_revision": 2})]
    (act,) = database.read(lambda s: list(s.scalars(select(Activity).where(Activity.verb == "item.replace"))))
    assert (act.actor_id, act.subject, act.after) == (shop.id, "item:2", {"revision": 2})


def test_the_content_that_stands_changes_nothing(database: Database, held: Setting, shop: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.97)})
    receipt = put(database, held, shop)
    assert (receipt.state, receipt.new, receipt.label) == ("decided", False, "pay")
    assert keys(database) == [("1", "1", 1, False)]


def test_what_is_not_there_yet_is_taken_as_new(database: Database, held: Setting, shop: Actor) -> None:
    assert put(database, held, shop).new
    assert keys(database) == [("1", "1", 1, False)]


def test_an_item_that_was_not_scored_yet_is_scored_once(database: Database, held: Setting, shop: Actor) -> None:
    factories.submit(database, held, [factories.raw("1")])
    put(database, held, shop, amount=1)
    put(database, held, shop, amount=2)
    assert database.read(lambda s: list(s.scalars(select(Work.item_id)))) == [3]
    assert score(database, held).review == 1
    assert [revision for _, _, revision, _ in keys(database)] == [1, 2, 3]


def test_a_batch_in_flight_drops_what_was_replaced(database: Database, held: Setting, shop: Actor) -> None:
    factories.submit(database, held, [factories.raw("1"), factories.raw("2")])
    leased = database.write(batches.lease, held.id, "score", "w", limit=9, seconds=60)
    put(database, held, shop, amount=1)
    rule = database.read(rules.in_force, held.id, held.policy)
    assert rule is not None
    said = [(item, factories.says("pay", 0.97)) for item in leased]
    assert database.write(batches.write, held.id, "w", said, model_id=rule.model_id, keys=factories.keys(database)).auto == 1
    assert [body["external_id"] for kind, body in told(database, held) if kind == "outcome"] == ["2"]


def test_the_answer_to_old_content_is_refused_and_nothing_is_stored(
    database: Database, held: Setting, shop: Actor, ann: Actor
) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    (case,) = take(database, held, ann)
    put(database, held, shop, amount=99)
    with pytest.raises(ClaimExpired, match="not stored"):
        decide(database, ann, case)
    assert database.read(lambda s: list(s.scalars(select(Decision)))) == []
    assert database.read(lambda s: list(s.scalars(select(Claim.state)))) == ["released"]
    score(database, held)
    assert len(take(database, held, ann)) == 1


def test_content_that_cannot_be_taken_leaves_the_old_standing(database: Database, shop: Actor) -> None:
    held = factories.setting(
        database, factories.project(input={"type": "image"}, labels=["a", "b"]), factories.policy(automate={"at_least": "off"})
    )
    sha = "sha256:" + "ab" * 32
    wanted = intake.check(held.project, {"external_id": "1", "input": {"image": {"blob": sha}}})
    receipt = database.write(withdrawal.replace, held, wanted, by=shop)
    assert receipt.state == "invalid"
    assert keys(database) == []


def test_what_waits_can_be_replaced_in_a_full_queue_and_what_is_decided_takes_room(database: Database, shop: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(intake={"most_waiting": 1}, audit={"rate": 1.0}))
    factories.submit(database, held, [factories.raw(name) for name in ("1", "2")])
    score(database, held, 0.97)  # they acted alone, and are to be checked
    for name in ("1", "new"):
        with pytest.raises(Full):
            put(database, held, shop, name, amount=1)
    held = factories.setting(database, wished=factories.policy(intake={"most_waiting": "off"}, audit={"rate": 1.0}))
    factories.submit(database, held, [factories.raw(name) for name in ("3", "4")])
    score(database, held)
    factories.submit(database, held, [factories.raw("5")])
    held = factories.setting(database, wished=factories.policy(intake={"most_waiting": 2}, audit={"rate": 1.0}))
    assert [put(database, held, shop, name, amount=1).state for name in ("3", "5", "3")] == ["received"] * 3
    database.write(withdrawal.cancel, held, "4", by=shop)
    with pytest.raises(Full):
        put(database, held, shop, "4")


def test_events_of_a_later_revision_say_so(database: Database, held: Setting, shop: Actor, ann: Actor, move: Move) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.97)})
    put(database, held, shop, amount=99)
    score(database, held, 0.97, "deny")
    put(database, held, shop, amount=100)
    score(database, held, 0.6)
    decide(database, ann, take(database, held, ann)[0])
    move(timedelta(seconds=16))
    seen = [(kind, body.get("item_revision"), body.get("label")) for kind, body in told(database, held)]
    assert seen == [
        ("outcome", None, "pay"),
        ("replaced", 2, None),
        ("outcome", 2, "deny"),
        ("replaced", 3, None),
        ("outcome", 3, "pay"),
    ]


def test_an_answer_in_its_undo_window_is_withdrawn(
    database: Database, held: Setting, shop: Actor, ann: Actor, move: Move
) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    said = decide(database, ann, take(database, held, ann)[0])
    put(database, held, shop, amount=99)
    move(timedelta(minutes=1))
    assert [kind for kind, _ in told(database, held)] == ["replaced"]
    assert database.read(lambda s: list(s.scalars(select(Outcome)))) == []
    with pytest.raises(Invalid, match="no longer"):
        database.write(decisions.undo, ann, said)
    assert database.read(decisions.last_of, ann, held.id) is None


def test_an_answer_that_has_left_stays_said(database: Database, held: Setting, shop: Actor, ann: Actor, move: Move) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    decide(database, ann, take(database, held, ann)[0])
    move(timedelta(minutes=1))
    assert [kind for kind, _ in told(database, held)] == ["outcome"]
    put(database, held, shop, amount=99)
    assert [kind for kind, _ in told(database, held)] == ["outcome", "replaced"]
    assert len(database.read(lambda s: list(s.scalars(select(Outcome))))) == 1


def test_a_revision_in_its_undo_window_goes_and_what_it_revised_stays(
    database: Database, shop: Actor, ann: Actor, move: Move
) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}))
    factories.routed(database, held, {"1": factories.says("pay", 0.97)})
    (case,) = take(database, held, ann)
    database.write(decisions.answer, ann, case.task_id, case.token, "first", "deny")
    decide(database, ann, case, "correct", label="deny")
    assert [kind for kind, _ in told(database, held)] == ["outcome"]
    database.write(withdrawal.cancel, held, "1", by=shop)
    move(timedelta(minutes=1))
    assert [kind for kind, _ in told(database, held)] == ["outcome", "cancelled"]
    rows = database.read(lambda s: list(s.scalars(select(Outcome))))
    assert [(row.revision, row.source) for row in rows] == [(1, "auto")]


def test_each_revision_is_drawn_for_itself(database: Database, shop: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 0.5}))
    names = [str(n) for n in range(60)]
    factories.routed(database, held, {name: factories.says("pay", 0.97) for name in names})
    for name in names:
        put(database, held, shop, name, amount=99)
    score(database, held, 0.97)
    drawn = database.read(lambda s: set(s.scalars(select(Draw.item_id))))
    rows = database.read(lambda s: list(s.scalars(select(ItemKey))))
    first = {row.name for row in rows if row.item_id in drawn and row.revision == 1}
    second = {row.name for row in rows if row.item_id in drawn and row.revision == 2}
    assert first != second
    assert 10 < len(first & second) + len(set(names) - first - second) < 50  # as two independent draws agree


# Cancelling


def test_nobody_is_asked_for_a_cancelled_item(database: Database, held: Setting, shop: Actor, ann: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    (case,) = take(database, held, ann)
    receipt = database.write(withdrawal.cancel, held, "1", by=shop)
    assert (receipt.state, receipt.route) == ("cancelled", "review")
    assert database.write(withdrawal.cancel, held, "1", by=shop) == receipt
    assert told(database, held) == [("cancelled", {"external_id": "1"})]
    with pytest.raises(ClaimExpired):
        decide(database, ann, case)
    assert states(database) == [(1, "review", "cancelled")]
    with pytest.raises(NotFound, match="no claim 'x'"):
        database.write(withdrawal.cancel, held, "x", by=shop)


def test_sending_a_cancelled_item_again_gets_that_answer(database: Database, held: Setting, shop: Actor) -> None:
    factories.submit(database, held, [factories.raw("1")])
    database.write(withdrawal.cancel, held, "1", by=shop)
    assert score(database, held) == batches.Written()
    assert [(r.state, r.new) for r in factories.submit(database, held, [factories.raw("1")])] == [("cancelled", False)]
    assert [r.state for r in factories.submit(database, held, [factories.raw("1", amount=5)])] == ["conflict"]


def test_put_makes_a_cancelled_item_live_again(database: Database, held: Setting, shop: Actor, ann: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    database.write(withdrawal.cancel, held, "1", by=shop)
    assert put(database, held, shop).new
    score(database, held)
    assert len(take(database, held, ann)) == 1
    assert [kind for kind, _ in told(database, held)] == ["cancelled", "replaced"]
    assert [(name, revision, closed) for _, name, revision, closed in keys(database)] == [("1", 1, True), ("1", 2, False)]


def test_a_replaced_item_sent_again_is_the_new_one_or_a_conflict(database: Database, held: Setting, shop: Actor) -> None:
    factories.submit(database, held, [factories.raw("1")])
    put(database, held, shop, amount=5)
    assert [r.state for r in factories.submit(database, held, [factories.raw("1", amount=5)])] == ["received"]
    (old,) = factories.submit(database, held, [factories.raw("1")])
    assert old.state == "conflict"
    assert old.problem is not None
    assert "PUT" in old.problem


# Checks of what acted alone


def test_a_check_of_what_acted_alone_goes_on_and_tells_nobody(database: Database, shop: Actor, ann: Actor, move: Move) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}))
    factories.routed(database, held, {"1": factories.says("pay", 0.97)})
    database.write(withdrawal.cancel, held, "1", by=shop)
    assert states(database) == [(1, "audit", "pending")]
    (case,) = take(database, held, ann)
    assert case.external_id == "1"
    database.write(decisions.answer, ann, case.task_id, case.token, "first", "deny")
    decide(database, ann, case, "correct", label="deny")
    move(timedelta(minutes=1))
    assert [kind for kind, _ in told(database, held)] == ["outcome", "cancelled"]
    bob = factories.person(database, "bob")
    (case,) = take(database, held, bob)  # what it disputes is settled all the same
    database.write(decisions.answer, bob, case.task_id, case.token, "first-b", "deny")
    decide(database, bob, case, "correct", "kb", label="deny")
    draw = database.read(lambda s: s.get_one(Draw, (1, 1, "evidence")))
    assert (draw.resolved_as, draw.loss) == ("adjudicated", 1)
    move(timedelta(minutes=1))
    assert [kind for kind, _ in told(database, held)] == ["outcome", "cancelled"]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("change", ["replace", "cancel"])
def test_a_check_that_is_parked_until_its_item_changes_comes_back_with_the_change(
    database: Database, shop: Actor, ann: Actor, bob: Actor, move: Move, change: str, late: bool
) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}))
    factories.routed(database, held, {"1": factories.says("pay", 0.97)})
    (case,) = take(database, held, ann)
    if not late:
        database.write(parking.park, ann, case.task_id, case.token)
    if change == "replace":
        put(database, held, shop, amount=99)
    else:
        database.write(withdrawal.cancel, held, "1", by=shop)
    if late:
        database.write(parking.park, ann, case.task_id, case.token)
    move(timedelta(seconds=1))
    assert database.write(parking.wake) == 1
    assert states(database) == [(1, "audit", "pending")]
    assert take(database, held, bob) == []
    assert [each.task_id for each in take(database, held, ann)] == [case.task_id]


def test_an_adjudication_of_seats_ends_with_the_item(database: Database, shop: Actor, ann: Actor, bob: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(review={"reviewers": 2}))
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    decide(database, ann, take(database, held, ann)[0])
    decide(database, bob, take(database, held, bob)[0], "correct", "kb", label="deny")
    assert states(database)[-1] == (1, "adjudication", "pending")
    database.write(withdrawal.cancel, held, "1", by=shop)
    assert states(database)[-1] == (1, "adjudication", "cancelled")


# Parked cases


def test_who_parked_it_gets_the_new_revision_first(
    database: Database, held: Setting, shop: Actor, ann: Actor, bob: Actor, move: Move
) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    (case,) = take(database, held, ann)
    database.write(parking.park, ann, case.task_id, case.token, None, "wait for the garage")
    put(database, held, shop, amount=1)
    put(database, held, shop, amount=2)
    score(database, held)
    assert database.read(parking.parked, held.id, ann) == []
    assert take(database, held, bob) == []
    (again,) = take(database, held, ann)
    assert again.input["amount"] == 2
    database.write(claims.release, ann, [again.token])
    move(timedelta(hours=25))
    assert len(take(database, held, bob)) == 1


def test_two_who_parked_their_seats_get_them_again(database: Database, shop: Actor, ann: Actor, bob: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(review={"reviewers": 2}))
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    for person in (ann, bob):
        (case,) = take(database, held, person)
        database.write(parking.park, person, case.task_id, case.token)
    put(database, held, shop, amount=1)
    score(database, held)
    cid = factories.person(database, "cid")
    assert take(database, held, cid) == []
    assert [len(take(database, held, person)) for person in (ann, bob)] == [1, 1]


def test_who_parked_what_is_asked_once_for_a_batch_and_not_of_those_who_left(
    database: Database, held: Setting, shop: Actor, ann: Actor, bob: Actor
) -> None:
    counts = []
    for number, names in enumerate((["1"], ["2", "3", "4", "5"])):
        factories.routed(database, held, {name: factories.says("pay", 0.6) for name in names})
        for person in (ann, bob):
            for case in take(database, held, person, len(names) // 2 or 1):
                database.write(parking.park, person, case.task_id, case.token)
        if number:
            database.write(lambda s: setattr(s.get_one(Person, bob.id), "disabled_at", clock.now()))
        for name in names:
            put(database, held, shop, name, amount=99)
        with Statements(database.engine) as seen:
            score(database, held)
        counts.append(sum("SELECT" in text for text in seen.texts))
        if not number:
            database.write(withdrawal.cancel, held, "1", by=shop)
    assert counts[0] == counts[1]
    whose = [task.assignee_id for task in factories.tasks(database, state="pending")]
    assert whose == [ann.id, ann.id, None, None]


# At once


def test_two_replacements_at_once_are_two_revisions(database: Database, held: Setting, shop: Actor) -> None:
    factories.submit(database, held, [factories.raw("1")])
    lost = at_once([lambda n=n: put(database, held, shop, amount=n) for n in (1, 2, 3)])
    assert lost == []
    assert sorted(revision for _, _, revision, _ in keys(database)) == [1, 2, 3, 4]
    assert [closed for _, _, revision, closed in sorted(keys(database), key=lambda k: k[2])] == [True, True, True, False]
    assert len(database.read(lambda s: list(s.scalars(select(Work))))) == 1


def test_of_two_first_ones_at_once_the_later_replaces_the_other(database: Database, held: Setting, shop: Actor) -> None:
    receipts: list[Receipt] = []
    second = Thread(target=lambda: receipts.append(put(database, held, shop, amount=2)))

    def send_slowly(session: Session) -> None:
        withdrawal.replace(session, held, intake.check(held.project, factories.raw("1", amount=1)), by=shop)
        second.start()
        second.join(timeout=1)  # it waits for this one

    database.write(send_slowly)
    second.join()
    assert [(receipt.state, receipt.new) for receipt in receipts] == [("received", True)]
    assert [(name, revision, closed) for _, name, revision, closed in keys(database)] == [("1", 1, True), ("1", 2, False)]


@pytest.mark.parametrize("seed", range(4))
def test_a_decision_and_a_cancellation_at_once_leave_one_of_both(
    database: Database, held: Setting, shop: Actor, ann: Actor, seed: int
) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    (case,) = take(database, held, ann)
    acts = [lambda: database.write(withdrawal.cancel, held, "1", by=shop), lambda: decide(database, ann, case)]
    lost = at_once(acts if seed % 2 else acts[::-1])
    assert [type(error) for error in lost] in ([], [ClaimExpired])
    assert database.read(lambda s: list(s.scalars(select(Outcome)))) == []
    assert factories.tasks(database)[0].state == ("cancelled" if lost else "completed")


# The record


def test_a_check_that_is_decided_beside_a_cancellation_tells_nobody(
    database: Database, shop: Actor, ann: Actor, move: Move
) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}))
    factories.routed(database, held, {"1": factories.says("pay", 0.97)})
    (case,) = take(database, held, ann)
    database.write(decisions.answer, ann, case.task_id, case.token, "f", "pay")
    deciding = Thread(target=decide, args=(database, ann, case))

    def cancel_slowly(session: Session) -> None:
        withdrawal.cancel(session, held, "1", by=shop)
        deciding.start()
        deciding.join(timeout=1)  # it waits for this cancellation

    database.write(cancel_slowly)
    deciding.join()
    assert [(t.kind, t.state) for t in factories.tasks(database)] == [("audit", "completed")]
    move(timedelta(minutes=10))
    assert [kind for kind, _ in told(database, held)] == ["outcome", "cancelled"]


def test_the_record_is_that_of_the_revision_that_stands(database: Database, held: Setting, shop: Actor, ann: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    put(database, held, shop, amount=99)
    found = database.read(find.record, held, "1", by=ann)
    assert (found.input["amount"], found.item_revision, found.state) == (99, 2, "received")
    assert [(each.revision, each.closed_at is not None) for each in found.earlier] == [(1, True)]
    old = database.read(find.record, held, "1", by=ann, revision=1)
    assert (old.external_id, old.input["amount"], old.state, old.earlier) == ("1", 120.5, "replaced", ())
    assert database.read(find.record, held, "1", by=ann, revision=2) == found
    with pytest.raises(NotFound, match="of revision 3"):
        database.read(find.record, held, "1", by=ann, revision=3)
    assert database.read(find.search, held.id, "1") == ["1"]


def test_an_earlier_revision_stays_shut_while_the_standing_one_waits_blind(database: Database, shop: Actor, ann: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(review={"blind_first": "all"}))
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    put(database, held, shop, amount=99)
    score(database, held)
    with pytest.raises(Forbidden, match="blind"):
        database.read(find.record, held, "1", by=ann, revision=1)
