"""A case from intake to outcome: verdicts, blind work, seats, undo, retries, races."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from contract.records import Unscored
from db.engine import Database
from db.tables import Decision, Draw, Outcome
from review_queue import cases, claims, clock, decisions, events, outcomes
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import AlreadyDecided, AnswerFirst, ClaimExpired, Forbidden, Invalid, KeyReused
from review_queue.projects import Setting
from tests import factories


@pytest.fixture
def held(database: Database) -> Setting:
    return factories.setting(database)


@pytest.fixture
def ann(database: Database) -> Actor:
    return factories.person(database, "ann")


def take(database: Database, held: Setting, actor: Actor, count: int = 1) -> list[cases.Case]:
    return database.write(cases.take, held, actor, "s", count)


def outcome(database: Database, external_id: str = "") -> list[tuple[str | None, str, int]]:
    rows = database.read(lambda s: list(s.scalars(select(Outcome).order_by(Outcome.item_id, Outcome.revision))))
    return [(row.label, row.source, row.revision) for row in rows]


def move(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    present = clock.now
    monkeypatch.setattr(clock, "now", lambda: present() + by)


def test_a_sure_item_acts_alone_and_an_unsure_one_waits(database: Database, held: Setting) -> None:
    written = factories.routed(database, held, {"1": factories.says("pay", 0.97), "2": factories.says("pay", 0.6)})
    assert (written.auto, written.review) == (1, 1)
    assert outcome(database) == [("pay", "auto", 1)]
    database.write(events.sequence)
    assert [e.body["external_id"] for e in database.read(events.after, held.id, 0)] == ["1"]


@pytest.mark.parametrize(
    ("said", "stands"),
    [
        (Said("k", "accept"), ("pay", "human", 1)),
        (Said("k", "correct", "deny"), ("deny", "human", 1)),
        (Said("k", "reject", reason="no label fits"), (None, "human", 1)),
        (Said("k", "skip"), None),
        (Said("k", "escalate", comment="please look"), None),
    ],
)
def test_each_verdict_means_what_the_table_says(
    database: Database, held: Setting, ann: Actor, said: Said, stands: tuple[str | None, str, int] | None
) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    case = take(database, held, ann)[0]
    assert case.prediction is not None
    assert case.prediction.label == "pay"
    stored = database.write(decisions.decide, ann, case.task_id, case.token, said)
    assert stored.verdict == said.verdict
    assert outcome(database) == ([stands] if stands else [])
    task = factories.tasks(database)[0]
    assert task.state == ("completed" if stands else "pending")
    assert task.audience == ("leads" if said.verdict == "escalate" else "reviewers")


def test_a_skipped_case_goes_to_another_person(database: Database, held: Setting, ann: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    case = take(database, held, ann)[0]
    database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "skip", reason="not sure"))
    assert take(database, held, ann) == []
    assert take(database, held, factories.person(database, "bob"))[0].task_id == case.task_id


def test_an_escalated_case_goes_to_leads_only(database: Database, held: Setting, ann: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    case = take(database, held, ann)[0]
    database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "escalate"))
    assert take(database, held, factories.person(database, "bob")) == []
    assert take(database, held, factories.person(database, "lea", "lead"))[0].task_id == case.task_id


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Said("k", "acept"), "nearest is accept"),  # type: ignore[arg-type]
        (Said("k", "correct", "dny"), "nearest is deny"),
        (Said("k", "correct"), "needs a label"),
        (Said("k", "correct", "pay"), "accept it"),
        (Said("k", "reject"), "needs a reason"),
        (Said("k", "reject", reason="tired"), "no reason to reject"),
        (Said("k", "accept", comment="x" * 20_000), "at most 10,000"),
        (Said("k", "accept", seconds=-1), "no time"),
        (Said("", "accept"), "UUID"),
    ],
)
def test_a_wrong_decision_is_refused_and_the_case_stays(
    database: Database, held: Setting, ann: Actor, said: Said, words: str
) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    case = take(database, held, ann)[0]
    with pytest.raises(Invalid, match=words):
        database.write(decisions.decide, ann, case.task_id, case.token, said)
    assert [c.token for c in take(database, held, ann)] == [case.token]
    assert outcome(database) == []


def test_what_was_not_scored_takes_a_label_but_nothing_to_accept(database: Database, held: Setting, ann: Actor) -> None:
    factories.routed(database, held, {"1": Unscored("the model answered NaN")})
    case = take(database, held, ann)[0]
    assert case.prediction is not None
    assert case.prediction.label is None
    assert "NaN" in case.prediction.reason
    with pytest.raises(Invalid, match="no prediction to accept"):
        database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
    database.write(decisions.decide, ann, case.task_id, case.token, Said("k2", "correct", "deny"))
    assert outcome(database) == [("deny", "human", 1)]


def test_a_retry_gets_the_stored_reply_and_adds_nothing(database: Database, held: Setting, ann: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    case = take(database, held, ann)[0]
    first = database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
    again = database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
    assert (again.id, again.repeated) == (first.id, True)
    with pytest.raises(KeyReused):
        database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "correct", "deny"))
    with pytest.raises(AlreadyDecided):
        database.write(decisions.decide, ann, case.task_id, case.token, Said("other", "correct", "deny"))
    assert outcome(database) == [("pay", "human", 1)]


def test_one_key_from_many_threads_decides_once(database: Database, held: Setting, ann: Actor) -> None:
    factories.routed(database, held, {str(n): factories.says("pay", 0.6) for n in range(8)})
    lost: list[BaseException] = []

    def decide(case: cases.Case) -> None:
        try:
            database.write(decisions.decide, ann, case.task_id, case.token, Said(f"k{case.task_id}", "accept"))
        except BaseException as error:
            lost.append(error)

    for case in take(database, held, ann, 8):
        threads = [threading.Thread(target=decide, args=(case,)) for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    assert [type(error) for error in lost if not isinstance(error, AlreadyDecided)] == []
    assert len(outcome(database)) == 8


def test_an_expired_lease_goes_to_others_and_the_late_answer_is_refused(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    case = take(database, held, ann)[0]
    bob = factories.person(database, "bob")
    assert take(database, held, bob) == []
    move(monkeypatch, timedelta(minutes=11))
    assert take(database, held, bob)[0].task_id == case.task_id
    with pytest.raises(ClaimExpired):
        database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
    assert database.write(claims.heartbeat, ann, [case.token], timedelta(minutes=10)) == [case.token]


def test_a_late_answer_is_taken_while_nobody_else_has_the_case(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    case = take(database, held, ann)[0]
    move(monkeypatch, timedelta(minutes=11))
    assert database.write(claims.expire) == 1
    database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
    assert outcome(database) == [("pay", "human", 1)]


def test_undo_withdraws_what_has_not_left_and_revises_what_has(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    case = take(database, held, ann)[0]
    first = database.write(decisions.decide, ann, case.task_id, case.token, Said("k1", "accept"))
    assert database.write(events.sequence) == 0  # held for the undo window
    assert database.write(decisions.undo, ann, first.id) == case.task_id
    assert outcome(database) == []
    second = database.write(decisions.decide, ann, case.task_id, case.token, Said("k2", "correct", "deny"))
    move(monkeypatch, timedelta(seconds=16))
    assert database.write(events.sequence) == 1
    database.write(decisions.undo, ann, second.id)
    assert outcome(database) == [("deny", "human", 1)]
    database.write(decisions.decide, ann, case.task_id, case.token, Said("k3", "accept"))
    assert outcome(database) == [("deny", "human", 1), ("pay", "human", 2)]
    move(monkeypatch, timedelta(seconds=16))
    database.write(events.sequence)
    assert [(e.seq, e.kind) for e in database.read(events.after, held.id, 0)] == [(1, "outcome"), (2, "revision")]
    rows = database.read(lambda s: list(s.scalars(select(Decision).order_by(Decision.id))))
    assert [row.supersedes_id for row in rows] == [None, first.id, second.id]


def test_only_ones_own_decision_can_be_taken_back(database: Database, held: Setting, ann: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    case = take(database, held, ann)[0]
    stored = database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
    with pytest.raises(Forbidden):
        database.write(decisions.undo, factories.person(database, "bob"), stored.id)
    database.write(decisions.undo, ann, stored.id)
    with pytest.raises(Invalid, match="no longer"):
        database.write(decisions.undo, ann, stored.id)


def test_a_lead_who_was_handed_again_what_they_left_to_leads_can_take_that_back(database: Database, held: Setting) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    lea = factories.person(database, "lea", "lead")
    case = take(database, held, lea)[0]
    left = database.write(decisions.decide, lea, case.task_id, case.token, Said("k", "escalate"))
    again = take(database, held, lea)[0]
    assert (again.task_id, again.token != case.token) == (case.task_id, True)
    database.write(decisions.undo, lea, left.id)
    mine = database.read(claims.held, held.id, lea, "s")
    assert [each.token for each in mine] == [case.token], "the first hold goes on, the second is over"
    with pytest.raises(Invalid, match="no longer"):
        database.write(decisions.undo, lea, left.id)
    assert len(database.read(claims.held, held.id, lea, "s")) == 1


class TestBlind:
    """Drawn work shows nothing of the prediction until the first answer is stored."""

    @pytest.fixture
    def held(self, database: Database) -> Setting:
        return factories.setting(database, wished=factories.policy(audit={"rate": 1.0}))

    def test_an_audit_is_blind_then_shows_and_keeps_the_first_answer(self, database: Database, held: Setting, ann: Actor) -> None:
        factories.routed(database, held, {"1": factories.says("pay", 0.97)})
        case = take(database, held, ann)[0]
        assert (case.blind, case.prediction, case.explanations, case.answers) == (True, None, (), ())
        with pytest.raises(AnswerFirst):
            database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
        database.write(decisions.answer, ann, case.task_id, case.token, "f", "deny")
        shown = take(database, held, ann)[0]
        assert shown.prediction is not None
        assert (shown.first_label, shown.prediction.label) == ("deny", "pay")
        with pytest.raises(AlreadyDecided):
            database.write(decisions.answer, ann, case.task_id, case.token, "f2", "pay")
        database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
        first, final = database.read(lambda s: list(s.scalars(select(Decision).order_by(Decision.id))))
        assert (first.stage, first.label, first.verdict) == ("first", "deny", "correct")
        assert (final.stage, final.label, final.basis) == ("final", "pay", "drawn")

    def test_agreement_resolves_the_draw_and_a_dispute_waits_for_a_third(
        self, database: Database, held: Setting, ann: Actor
    ) -> None:
        factories.routed(database, held, {"1": factories.says("pay", 0.97), "2": factories.says("pay", 0.98)})
        for case, label in zip(take(database, held, ann, 2), ("pay", "deny"), strict=True):
            database.write(decisions.answer, ann, case.task_id, case.token, f"f{case.task_id}", label)
            said = Said(f"k{case.task_id}", "accept" if label == "pay" else "correct", None if label == "pay" else label)
            database.write(decisions.decide, ann, case.task_id, case.token, said)
        draws = database.read(lambda s: list(s.scalars(select(Draw).order_by(Draw.loss.is_(None)))))
        assert [(d.loss, d.resolved_as) for d in draws] == [(0, "blind"), (None, None)]
        assert sorted(o[0] or "" for o in outcome(database) if o[2] == 2) == ["deny"]  # the audit corrects
        assert take(database, held, ann) == []
        bob = factories.person(database, "bob")
        dispute = take(database, held, bob)[0]
        assert set(dispute.answers) == {"pay", "deny"}
        assert dispute.prediction is None
        database.write(decisions.answer, bob, dispute.task_id, dispute.token, "b", "pay")
        database.write(decisions.decide, bob, dispute.task_id, dispute.token, Said("bk", "accept"))
        settled = database.read(lambda s: s.scalars(select(Draw).where(Draw.resolved_as == "adjudicated")).one())
        assert settled.loss == 0
        assert ("pay", "adjudicated", 3) in outcome(database)

    def test_an_unresolved_draw_counts_as_an_error_when_due(
        self, database: Database, held: Setting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        factories.routed(database, held, {"1": factories.says("pay", 0.97)})
        assert database.write(outcomes.resolve_overdue) == 0
        move(monkeypatch, timedelta(days=7, minutes=1))
        assert database.write(outcomes.resolve_overdue) == 1
        assert database.read(lambda s: s.scalars(select(Draw)).one().loss) == 1

    def test_a_lease_that_ends_after_the_first_answer_keeps_that_answer(
        self, database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        factories.routed(database, held, {"1": factories.says("pay", 0.97)})
        case = take(database, held, ann)[0]
        database.write(decisions.answer, ann, case.task_id, case.token, "f", "deny")
        move(monkeypatch, timedelta(minutes=11))
        assert database.write(claims.expire) == 1
        assert factories.tasks(database, kind="audit")[0].state == "completed"
        assert outcome(database)[-1] == ("deny", "human", 2)

    def test_audits_that_correct_nothing_leave_the_outcome(self, database: Database, ann: Actor) -> None:
        held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0, "corrects": False}))
        factories.routed(database, held, {"1": factories.says("pay", 0.97)})
        case = take(database, held, ann)[0]
        database.write(decisions.answer, ann, case.task_id, case.token, "f", "deny")
        database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "correct", "deny"))
        assert outcome(database) == [("pay", "auto", 1)]


class TestSeats:
    """Several people on one case."""

    @pytest.fixture
    def held(self, database: Database) -> Setting:
        return factories.setting(database, wished=factories.policy(audit={"rate": 0}, review={"reviewers": 2}))

    def test_nobody_gets_two_seats_and_agreement_makes_the_outcome(self, database: Database, held: Setting, ann: Actor) -> None:
        factories.routed(database, held, {"1": factories.says("pay", 0.6)})
        assert len(take(database, held, ann, 5)) == 1
        bob = factories.person(database, "bob")
        for actor in (ann, bob):
            case = take(database, held, actor)[0]
            database.write(decisions.decide, actor, case.task_id, case.token, Said(actor.name, "accept"))
        assert outcome(database) == [("pay", "human", 1)]

    def test_a_conflict_is_settled_by_a_third_person(self, database: Database, held: Setting, ann: Actor) -> None:
        factories.routed(database, held, {"1": factories.says("pay", 0.6)})
        bob, cat = factories.person(database, "bob"), factories.person(database, "cat")
        for actor, said in ((ann, Said("a", "accept")), (bob, Said("b", "correct", "deny"))):
            case = take(database, held, actor)[0]
            database.write(decisions.decide, actor, case.task_id, case.token, said)
        assert outcome(database) == []
        assert take(database, held, ann) == []
        case = take(database, held, cat)[0]
        assert set(case.answers) == {"pay", "deny"}
        database.write(decisions.answer, cat, case.task_id, case.token, "f", "deny")
        database.write(decisions.decide, cat, case.task_id, case.token, Said("c", "correct", "deny"))
        assert outcome(database) == [("deny", "adjudicated", 1)]

    def test_two_people_decide_two_seats_at_once(self, database: Database, held: Setting, ann: Actor) -> None:
        factories.routed(database, held, {str(n): factories.says("pay", 0.6) for n in range(5)})
        people = [ann, factories.person(database, "bob")]
        held_cases = {actor.id: take(database, held, actor, 5) for actor in people}
        lost: list[BaseException] = []

        def work(actor: Actor) -> None:
            try:
                for case in held_cases[actor.id]:
                    said = Said(f"{actor.name}{case.task_id}", "accept")
                    database.write(decisions.decide, actor, case.task_id, case.token, said)
            except BaseException as error:
                lost.append(error)

        threads = [threading.Thread(target=work, args=(actor,)) for actor in people]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert lost == []
        assert outcome(database) == [("pay", "human", 1)] * 5


def test_a_second_opinion_does_not_delay_the_outcome(database: Database, ann: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(review={"second_opinion": 1.0}))
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    bob = factories.person(database, "bob")
    case = next(c for c in take(database, held, ann, 2) if not c.blind)
    database.write(decisions.decide, ann, case.task_id, case.token, Said("a", "accept"))
    assert outcome(database) == [("pay", "human", 1)]
    second = take(database, held, bob)[0]
    assert second.blind
    database.write(decisions.answer, bob, second.task_id, second.token, "f", "deny")
    database.write(decisions.decide, bob, second.task_id, second.token, Said("b", "correct", "deny"))
    cat = factories.person(database, "cat")
    last = take(database, held, cat)[0]
    database.write(decisions.answer, cat, last.task_id, last.token, "g", "deny")
    database.write(decisions.decide, cat, last.task_id, last.token, Said("c", "correct", "deny"))
    assert outcome(database) == [("pay", "human", 1), ("deny", "adjudicated", 2)]


def test_who_decides_after_an_undo_and_a_release_supersedes_what_was_undone(
    database: Database, held: Setting, ann: Actor
) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    case = take(database, held, ann)[0]
    first = database.write(decisions.decide, ann, case.task_id, case.token, Said("k1", "accept"))
    database.write(decisions.undo, ann, first.id)
    database.write(claims.release, ann, [case.token])
    bob = factories.person(database, "bob")
    again = take(database, held, bob)[0]
    database.write(decisions.decide, bob, again.task_id, again.token, Said("k2", "correct", "deny"))
    last = database.read(lambda s: s.scalars(select(Decision).order_by(Decision.id.desc())).first())
    assert last is not None
    assert (last.person_id, last.supersedes_id) == (bob.id, first.id)


@pytest.mark.parametrize("last", ["skip", "escalate"])
def test_a_case_handed_on_after_an_undo_is_still_decided(database: Database, held: Setting, ann: Actor, last: str) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    case = take(database, held, ann)[0]
    stored = database.write(decisions.decide, ann, case.task_id, case.token, Said("k1", "accept"))
    database.write(decisions.undo, ann, stored.id)
    database.write(decisions.decide, ann, case.task_id, case.token, Said("k2", last))  # type: ignore[arg-type]
    lea = factories.person(database, "lea", "lead")
    again = take(database, held, lea)[0]
    database.write(decisions.decide, lea, again.task_id, again.token, Said("k3", "correct", "deny"))
    assert outcome(database) == [("deny", "human", 1)]


def test_an_adjudicator_sees_the_blind_answer_and_the_models(database: Database, ann: Actor) -> None:
    held = factories.setting(database, factories.project(labels=["deny", "pay", "wait"]), factories.policy(audit={"rate": 1.0}))
    factories.routed(database, held, {"1": factories.says("pay", 0.97, ("deny", "pay", "wait"))})
    case = take(database, held, ann)[0]
    database.write(decisions.answer, ann, case.task_id, case.token, "f", "deny")
    database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "correct", "wait"))
    assert set(take(database, held, factories.person(database, "bob"))[0].answers) == {"deny", "pay"}
