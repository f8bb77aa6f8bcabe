"""Somebody asks for a look, and leads correct: another answer goes out, and neither counts as evidence."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from contract.records import Unscored, Unshowable
from db.engine import Database
from db.tables import Activity, Claim, Decision, Draw, Outcome, Task
from review_queue import (
    answers,
    cases,
    claims,
    decisions,
    events,
    find,
    insights,
    requests,
    stuck,
    withdrawal,
)
from review_queue.activity import Actor
from review_queue.decisions import Said, Stored
from review_queue.errors import Forbidden, Invalid, KeyReused, NotFound, Refused
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Move, at_once, take

pytestmark = pytest.mark.usefixtures("sound")


@pytest.fixture
def shop(database: Database) -> Actor:
    return replace(factories.person(database, "shop", "viewer"), via="api")


def ask(database: Database, held: Setting, by: Actor, external_id: str = "1", reason: str = "they complain") -> requests.Asked:
    return database.write(requests.request, held, external_id, reason, by=by)


def decide(database: Database, actor: Actor, case: cases.Case, verdict: str = "accept", **said: Any) -> Stored:
    told = Said(str(uuid4()), verdict, **said)  # type: ignore[arg-type]
    return database.write(decisions.decide, actor, case.task_id, case.token, told)


def told(database: Database, held: Setting) -> list[tuple[str, Any, Any]]:
    database.write(events.sequence)
    happened = database.read(events.after, held.id, 0)
    return [(each.kind, each.body.get("label"), each.body.get("revision")) for each in happened]


def outcome(database: Database) -> list[tuple[str | None, str, int]]:
    rows = database.read(lambda s: list(s.scalars(select(Outcome).order_by(Outcome.item_id, Outcome.revision))))
    return [(row.label, row.source, row.revision) for row in rows]


def acted(database: Database, rate: float = 0.0, **review: Any) -> Setting:
    """One item that acted alone; with `rate` 1 it is to be checked."""
    held = factories.setting(database, wished=factories.policy(audit={"rate": rate}, review=review))
    factories.routed(database, held, {"1": factories.says("pay", 0.97)})
    return held


# Asking


def test_what_acted_alone_is_looked_at_and_its_outcome_revised(database: Database, shop: Actor, ann: Actor, move: Move) -> None:
    held = acted(database)
    asked = ask(database, held, shop)
    assert (asked.new, asked.external_id, asked.reason) == (True, "1", "they complain")
    (case,) = take(database, held, ann)
    assert (case.task_id, case.requested) == (asked.task_id, "they complain")
    assert case.prediction is not None
    decide(database, ann, case, "correct", label="deny")
    move(timedelta(minutes=1))
    assert told(database, held) == [("outcome", "pay", 1), ("revision", "deny", 2)]
    (row,) = database.read(lambda s: list(s.scalars(select(Decision))))
    assert row.basis == "requested"
    (act,) = database.read(lambda s: list(s.scalars(select(Activity).where(Activity.verb == "item.review"))))
    assert (act.actor_id, act.after) == (shop.id, {"task": str(asked.task_id), "reason": "they complain"})


def test_a_look_that_finds_the_same_confirms_it(database: Database, shop: Actor, ann: Actor, move: Move) -> None:
    held = acted(database)
    ask(database, held, shop)
    decide(database, ann, take(database, held, ann)[0])
    move(timedelta(minutes=1))
    assert [kind for kind, _, _ in told(database, held)] == ["outcome", "confirmed"]


def test_what_people_decided_is_looked_at_by_somebody_else(
    database: Database, held: Setting, shop: Actor, ann: Actor, bob: Actor
) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    decide(database, ann, take(database, held, ann)[0])
    ask(database, held, shop)
    assert [task.seat for task in factories.tasks(database)] == [1, 2]
    assert take(database, held, ann) == []
    decide(database, bob, take(database, held, bob)[0], "reject", reason="no label fits")
    assert outcome(database) == [("pay", "human", 1), (None, "human", 2)]
    assert factories.tasks(database, kind="adjudication") == []


def test_asking_twice_is_asking_once_until_somebody_looked(database: Database, shop: Actor, ann: Actor) -> None:
    held = acted(database)
    first = ask(database, held, shop)
    again = ask(database, held, ann, reason="me too")
    assert (again.task_id, again.reason, again.new) == (first.task_id, "they complain", False)
    decide(database, ann, take(database, held, ann)[0])
    third = ask(database, held, shop)
    assert third.new
    assert [task.seat for task in factories.tasks(database)] == [1, 2]


def test_at_once_it_is_asked_once(database: Database, shop: Actor) -> None:
    held = acted(database)
    assert at_once([lambda: ask(database, held, shop)] * 4) == []
    assert len(factories.tasks(database)) == 1


def test_what_was_not_scored_but_decided_can_be_asked_for(database: Database, held: Setting, shop: Actor, ann: Actor) -> None:
    factories.routed(database, held, {"1": Unscored("NaN")})
    with pytest.raises(Refused, match="no answer"):
        ask(database, held, shop)
    decide(database, ann, take(database, held, ann)[0], "correct", label="pay")
    assert ask(database, held, shop).new


def test_what_nobody_can_look_at_is_refused(database: Database, held: Setting, shop: Actor) -> None:
    factories.routed(database, held, {"1": Unshowable("the image is no image"), "2": factories.says("pay", 0.6)})
    factories.submit(database, held, [factories.raw("3")])
    for external_id, words in (("1", "cannot be shown"), ("2", "waits for one"), ("3", "waits for one")):
        with pytest.raises(Refused, match=words):
            ask(database, held, shop, external_id)
    with pytest.raises(NotFound, match="no claim 'x'"):
        ask(database, held, shop, "x")
    database.write(withdrawal.cancel, held, "2", by=shop)
    with pytest.raises(Refused, match="cancelled"):
        ask(database, held, shop, "2")


@pytest.mark.parametrize("reason", ["", "  ", "x" * 2001, "a\x00b", "\ud800"])
def test_a_reason_that_says_nothing_is_refused(database: Database, shop: Actor, reason: str) -> None:
    held = acted(database)
    with pytest.raises(Invalid):
        ask(database, held, shop, reason=reason)


def test_an_open_check_is_neither_told_nor_touched_nor_resolved(database: Database, shop: Actor, ann: Actor, bob: Actor) -> None:
    held = acted(database, 1.0, blind_first="all")
    asked = ask(database, held, shop)  # as where no check waits
    database.write(lambda s: setattr(s.get_one(Task, asked.task_id), "rank", 0))
    (case,) = take(database, held, ann, 2)
    assert (case.blind, case.requested, case.prediction) == (True, None, None)
    database.write(decisions.answer, ann, case.task_id, case.token, "first", "deny")
    (case,) = take(database, held, ann)
    assert case.requested == "they complain"
    decide(database, ann, case, "correct", label="deny")
    draw = database.read(lambda s: s.get_one(Draw, (1, 1, "evidence")))
    assert draw.resolved_at is None
    assert factories.tasks(database, kind="adjudication") == []
    (audit,) = take(database, held, bob)
    database.write(decisions.answer, bob, audit.task_id, audit.token, "first-b", "pay")
    draw = database.read(lambda s: s.get_one(Draw, (1, 1, "evidence")))
    assert (draw.resolved_as, draw.loss) == ("blind", 0)


@pytest.mark.parametrize("sure", [0.6, 0.97])
@pytest.mark.parametrize("after", ["nothing", "taken", "skipped", "answered first"])
def test_who_may_still_answer_blind_does_not_learn_whether_it_is_a_check(
    database: Database, shop: Actor, ann: Actor, lea: Actor, sure: float, after: str
) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}, review={"blind_first": "all"}))
    factories.routed(database, held, {"1": factories.says("pay", sure)})
    for case in take(database, held, lea) if after != "nothing" else []:
        if after == "skipped":
            decide(database, lea, case, "skip")
        if after == "answered first":
            database.write(decisions.answer, lea, case.task_id, case.token, "first", "pay")
    asks = [lambda: ask(database, held, lea), lambda: correct(database, held, lea), lambda: ask(database, held, ann)]
    for act in asks[:2] if after == "answered first" else asks:
        with pytest.raises(Refused, match=r"^this claim waits for an answer that you may give; answer it first$"):
            act()
    assert len(factories.tasks(database)) == 1
    assert find_out(lambda: ask(database, held, shop)) == (None if sure > 0.9 else "no answer")


def find_out(act: Callable[[], object]) -> str | None:
    """What a producer, who judges nothing, is told."""
    try:
        act()
    except Refused as error:
        return str(error)[:9]
    return None


def test_taking_the_look_back_leaves_the_first_answer_alone(
    database: Database, shop: Actor, ann: Actor, bob: Actor, move: Move
) -> None:
    held = factories.setting(database, wished=factories.policy(review={"undo_window": "5m"}))
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    decide(database, ann, take(database, held, ann)[0])
    ask(database, held, shop)
    stored = decide(database, bob, take(database, held, bob)[0], "correct", label="deny")
    assert outcome(database) == [("pay", "human", 1), ("deny", "human", 2)]
    database.write(decisions.undo, bob, stored.id)
    assert outcome(database) == [("pay", "human", 1)]
    move(timedelta(minutes=6))
    assert told(database, held) == [("outcome", "pay", 1)]


def test_figures_of_quality_leave_it_out(database: Database, shop: Actor, ann: Actor, bob: Actor) -> None:
    held = acted(database)
    ask(database, held, shop)
    decide(database, ann, take(database, held, ann)[0], "correct", label="deny")
    factories.routed(database, held, {"2": factories.says("pay", 0.6)})
    decide(database, ann, take(database, held, ann)[0])
    ask(database, held, shop, "2")
    decide(database, bob, take(database, held, bob)[0], "correct", label="deny")
    found = database.read(insights.insight, held.id)
    assert sum(band.labelled for band in found.bands) == 1
    assert (found.override.part, found.override.of) == (0, 1)
    window = database.read(answers.latest, held.id)
    assert [each.basis for each in window.answers] == ["requested", "routed", "requested"]
    assert found.agreement.agreed.of == 0


# Correcting


def correct(database: Database, held: Setting, lea: Actor, label: str | None = "deny", key: str = "k", **said: Any) -> Stored:
    wanted = Said(key, "reject" if label is None else "correct", label, **said)
    return database.write(decisions.revise, held, lea, "1", wanted)


def test_a_lead_corrects_what_others_decided(database: Database, held: Setting, ann: Actor, lea: Actor, move: Move) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    decide(database, ann, take(database, held, ann)[0])
    stored = correct(database, held, lea, comment="the photos say no")
    assert (stored.verdict, stored.label, stored.repeated) == ("correct", "deny", False)
    move(timedelta(minutes=1))
    assert told(database, held) == [("outcome", "pay", 1), ("revision", "deny", 2)]
    record = database.read(find.record, held, "1", by=lea)
    assert [(each.person, each.label, each.comment) for each in record.decisions] == [
        ("ann", "pay", None),
        ("lea", "deny", "the photos say no"),
    ]
    assert {task.state for task in factories.tasks(database)} == {"completed"}
    assert correct(database, held, lea, comment="the photos say no") == Stored(**{**_fields(stored), "repeated": True})
    with pytest.raises(KeyReused):
        correct(database, held, lea, "pay")


def _fields(stored: Stored) -> dict[str, Any]:
    return {name: getattr(stored, name) for name in Stored.__slots__}


def test_what_acted_alone_is_corrected_too_and_rejected_with_a_reason(database: Database, lea: Actor) -> None:
    held = acted(database)
    with pytest.raises(Invalid, match="needs a reason"):
        correct(database, held, lea, None)
    assert correct(database, held, lea, None, reason="no label fits").verdict == "reject"
    assert correct(database, held, lea, "pay", "k2").verdict == "accept"
    assert outcome(database) == [("pay", "auto", 1), (None, "human", 2), ("pay", "human", 3)]


def test_a_lead_corrects_their_own_answer_and_it_stays_one(database: Database, held: Setting, lea: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    first = decide(database, lea, take(database, held, lea)[0])
    stored = correct(database, held, lea)
    assert outcome(database) == [("pay", "human", 1), ("deny", "human", 2)]
    row = database.read(lambda s: s.get_one(Decision, stored.id))
    assert (row.supersedes_id, row.basis) == (first.id, "routed")
    assert len(factories.tasks(database)) == 1


def test_a_lead_who_skipped_the_case_may_correct_it(database: Database, held: Setting, ann: Actor, lea: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    decide(database, lea, take(database, held, lea)[0], "skip")
    decide(database, ann, take(database, held, ann)[0])
    correct(database, held, lea)
    assert outcome(database)[-1] == ("deny", "human", 2)
    states = database.read(lambda s: list(s.scalars(select(Claim.state).order_by(Claim.id))))
    assert states == ["released", "answered", "answered"]


def test_a_correction_is_no_evidence_and_is_taken_back_like_any_answer(database: Database, ann: Actor, lea: Actor) -> None:
    held = acted(database, 1.0)
    (audit,) = take(database, held, ann)  # while it is open a lead may answer it too, and does not correct
    database.write(decisions.answer, ann, audit.task_id, audit.token, "first", "pay")
    decide(database, ann, audit)
    stored = correct(database, held, lea)
    draw = database.read(lambda s: s.get_one(Draw, (1, 1, "evidence")))
    assert (draw.resolved_as, draw.loss) == ("blind", 0)
    row = database.read(lambda s: s.get_one(Decision, stored.id))
    assert (row.basis, row.blind) == ("requested", False)
    task_id = database.write(decisions.undo, lea, stored.id)
    assert outcome(database) == [("pay", "auto", 1)]
    assert database.read(lambda s: s.get_one(Task, task_id)).state == "in_progress"


@pytest.mark.parametrize("how", ["correction", "look"])
@pytest.mark.parametrize("label", ["deny", "pay"])
def test_an_answer_is_not_taken_back_from_under_the_one_that_somebody_else_gave_later(
    database: Database, held: Setting, shop: Actor, ann: Actor, lea: Actor, how: str, label: str
) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    first = decide(database, ann, take(database, held, ann)[0])
    if how == "correction":
        later = correct(database, held, lea, label)
    else:
        ask(database, held, shop)
        (case,) = take(database, held, lea)
        later = decide(database, lea, case) if label == "pay" else decide(database, lea, case, "correct", label="deny")
    stood = outcome(database)
    assert database.read(decisions.last_of, ann, held.id) is None
    with pytest.raises(Invalid, match="somebody answered it after you, and that answer stands"):
        database.write(decisions.undo, ann, first.id)
    assert outcome(database) == stood
    database.write(decisions.undo, lea, later.id)  # once it is taken back, the first may be too
    database.write(decisions.undo, ann, first.id)
    assert outcome(database) == []


def test_who_may_not_correct_and_what_cannot_be_corrected(
    database: Database, held: Setting, shop: Actor, ann: Actor, lea: Actor
) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    with pytest.raises(Forbidden, match="for leads"):
        correct(database, held, ann)
    with pytest.raises(Refused, match="no answer"):
        correct(database, held, lea)
    decide(database, ann, take(database, held, ann)[0])
    with pytest.raises(Invalid, match="no label 'dny'"):
        correct(database, held, lea, "dny")
    ask(database, held, shop)
    (case,) = take(database, held, lea)
    with pytest.raises(Refused, match="you may give; answer it first"):
        correct(database, held, lea)
    database.write(claims.release, lea, [case.token])
    database.write(withdrawal.cancel, held, "1", by=shop)
    with pytest.raises(Refused, match="cancelled"):
        correct(database, held, lea)


def test_a_correction_answers_what_somebody_asked(database: Database, shop: Actor, ann: Actor, lea: Actor) -> None:
    held = acted(database)
    ask(database, held, shop)
    correct(database, held, lea)
    assert [(task.requested, task.state) for task in factories.tasks(database)] == [
        ("they complain", "cancelled"),
        ("a lead corrected it", "completed"),
    ]
    assert take(database, held, ann) == []
    assert ask(database, held, shop).new


def test_a_look_that_nobody_here_may_give_is_stuck_and_given_up(
    database: Database, held: Setting, shop: Actor, lea: Actor
) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    decide(database, lea, take(database, held, lea)[0])
    asked = ask(database, held, shop)
    assert database.read(stuck.count, held.id) == {"request": 1}
    database.write(stuck.drop, asked.task_id, by=lea)
    assert database.read(stuck.count, held.id) == {}
    assert outcome(database) == [("pay", "human", 1)]


def test_a_first_seat_that_was_asked_for_is_stuck_too(database: Database, shop: Actor, lea: Actor) -> None:
    held = acted(database, 1.0)
    (audit,) = take(database, held, lea)
    database.write(decisions.answer, lea, audit.task_id, audit.token, "first", "pay")
    decide(database, lea, audit)
    ask(database, held, shop)
    assert database.read(stuck.count, held.id) == {"request": 1}
