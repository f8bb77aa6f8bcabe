"""What models in shadow say of routed cases, and which of these people look at."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from contract.records import Unscored
from db.engine import Database
from db.tables import Decision, Draw, Outcome, Prediction, Shadow, Work
from review_queue import (
    acting,
    challenges,
    evidence,
    outcomes,
    rules,
    shadows,
    succession,
    tallies,
    withdrawal,
)
from review_queue.activity import Actor
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Move
from tests.review_queue.beside import DENY, PAY, begun, decide, lease, say


def rows(database: Database) -> list[tuple[bool, float]]:
    return database.read(lambda s: [(each.agrees, each.p) for each in s.scalars(select(Shadow).order_by(Shadow.item_id))])


def draws(database: Database) -> list[tuple[str, float, str | None, int | None]]:
    query = select(Draw).order_by(Draw.item_id, Draw.purpose)
    return database.read(lambda s: [(d.purpose, d.p, d.resolved_as, d.loss) for d in s.scalars(query)])


@pytest.mark.usefixtures("sound")
class TestDisagreements:
    def test_only_what_acted_alone_and_differs_is_looked_at(self, database: Database, held: Setting) -> None:
        each = begun(database, held)
        factories.routed(database, held, {"1": PAY, "2": PAY, "3": factories.says("pay", 0.6), "4": Unscored("broken")})
        assert database.read(shadows.waiting, held.id) == 3
        assert say(database, held, {"1": PAY, "2": DENY, "3": DENY}) == 3
        assert rows(database) == [(True, 0.0), (False, 1.0), (False, 0.0)]
        assert draws(database) == [("shadow", 1.0, None, None)]
        (audit,) = factories.tasks(database, kind="audit")
        assert (audit.item_id, audit.blind, audit.seat, audit.requested) == (2, True, 1, None)
        theirs = select(Prediction.label).where(Prediction.model_id == each.model_id).order_by(Prediction.item_id)
        assert database.read(lambda s: list(s.scalars(theirs))) == ["pay", "deny", "deny"]
        assert database.read(shadows.waiting, held.id) == 0

    def test_an_answer_corrects_and_is_no_evidence(self, database: Database, held: Setting, ann: Actor) -> None:
        begun(database, held)
        factories.routed(database, held, {"1": PAY})
        before = database.read(evidence.read, held)
        say(database, held, {"1": DENY})
        decide(database, held, ann, "deny")
        assert draws(database) == [("shadow", 1.0, "blind", None)]
        assert factories.tasks(database, kind="adjudication") == []
        stood = database.read(lambda s: [(o.label, o.source) for o in s.scalars(select(Outcome).order_by(Outcome.revision))])
        assert stood == [("pay", "auto"), ("deny", "human")]
        assert database.read(lambda s: set(s.scalars(select(Decision.basis)))) == {"shadow"}
        assert database.read(evidence.read, held) == before
        assert {
            name for name in database.read(tallies.daily, held.id, "2000", "9999").values() if "judged/other" in name
        } == set()

    def test_a_check_that_the_evidence_draws_serves_both(self, database: Database, ann: Actor, bob: Actor) -> None:
        held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}))
        begun(database, held)
        factories.routed(database, held, {"1": PAY, "2": PAY})
        decide(database, held, ann, "pay")
        say(database, held, {"1": DENY, "2": DENY})
        assert len(factories.tasks(database, kind="audit")) == 2
        assert set(draws(database)) == {
            ("evidence", 1.0, None, None),
            ("evidence", 1.0, "blind", 0),
            ("shadow", 1.0, None, None),
            ("shadow", 1.0, "blind", None),
        }
        decide(database, held, ann, "deny")
        assert {how for purpose, _, how, _ in draws(database) if purpose == "shadow"} == {"blind"}
        assert {how for purpose, _, how, _ in draws(database) if purpose == "evidence"} == {"blind", None}
        assert database.read(lambda s: set(s.scalars(select(Decision.basis)))) == {"drawn"}
        decide(database, held, bob, "deny")
        assert {how for purpose, _, how, _ in draws(database) if purpose == "evidence"} == {"blind", "adjudicated"}

    def test_the_share_is_kept_and_hangs_on_nothing_but_the_secret(self, database: Database, held: Setting) -> None:
        begun(database, held, share=0.3)
        names = [str(n) for n in range(600)]
        factories.routed(database, held, dict.fromkeys(names, PAY))
        say(database, held, dict.fromkeys(names, DENY))
        assert {p for _, p in rows(database)} == {0.3}
        assert 140 <= len(draws(database)) <= 220  # 180 expected, 11 the standard deviation

    def test_two_challenges_share_one_look(self, database: Database, held: Setting) -> None:
        begun(database, held, share=0.5)
        former = database.write(factories.version, held)
        database.write(challenges.begin, held, former, kind="former", share=0.2)
        factories.routed(database, held, {str(n): PAY for n in range(40)})
        say(database, held, {str(n): DENY for n in range(40)})
        assert sorted({p for _, p in rows(database)}) == [0.2, 0.5]
        assert {round(p, 9) for _, p, _, _ in draws(database)} == {0.6}
        assert len(draws(database)) == len(factories.tasks(database, kind="audit"))

    def test_nobody_looks_in_time(self, database: Database, held: Setting, move: Move) -> None:
        begun(database, held)
        factories.routed(database, held, {"1": PAY})
        say(database, held, {"1": DENY})
        move(timedelta(days=8))
        assert database.write(outcomes.resolve_overdue) == 1
        assert draws(database) == [("shadow", 1.0, "overdue", None)]

    def test_its_place_and_due_time_are_those_of_a_check_drawn_at_once(self, database: Database, move: Move) -> None:
        review = {"order": "fifo", "due": "1d"}
        held = factories.setting(database, wished=factories.policy(audit={"rate": 0.5}, review=review))
        begun(database, held)
        names = list(map(str, range(12)))
        factories.routed(database, held, {**dict.fromkeys(names, PAY), "unsure": factories.says("pay", 0.6)})
        move(timedelta(hours=3))
        say(database, held, {**dict.fromkeys(names, DENY), "unsure": PAY})
        tasks = factories.tasks(database, kind="audit")
        assert len(tasks) == 12
        assert len({(task.rank, task.due_at) for task in tasks}) == 1

    def test_a_model_that_fails_on_a_case_agrees_with_nothing(self, database: Database, held: Setting) -> None:
        begun(database, held)
        factories.routed(database, held, {"1": PAY})
        say(database, held, {"1": Unscored("broken")})
        assert rows(database) == [(False, 0.0)]
        assert draws(database) == []

    def test_a_freeze_takes_nothing_from_what_acted_before(self, database: Database, held: Setting, lea: Actor) -> None:
        begun(database, held)
        factories.routed(database, held, {"1": PAY})
        database.write(rules.freeze, held, by=lea)
        say(database, held, {"1": DENY})
        assert draws(database) == [("shadow", 1.0, None, None)]


@pytest.mark.usefixtures("sound")
class TestWhatDropsOut:
    def test_without_a_challenge_nothing_is_ordered(self, database: Database, held: Setting) -> None:
        factories.routed(database, held, {"1": PAY})
        assert database.read(shadows.waiting, held.id) == 0

    def test_a_challenge_that_ended_while_it_was_asked(self, database: Database, held: Setting) -> None:
        first = begun(database, held)
        factories.routed(database, held, {"1": PAY})
        items = lease(database, held)
        second = begun(database, held)
        said = {item.item_id: {first.id: DENY} for item in items}
        assert database.write(shadows.keep, held, "w", said, factories.keys(database)) == 0
        assert rows(database) == []
        assert (second.ended_at, draws(database)) == (None, [])

    def test_what_another_model_routed(self, database: Database, held: Setting) -> None:
        begun(database, held)
        factories.routed(database, held, {"1": PAY})
        stood, key = database.read(acting.model_id, held.id), factories.keys(database).draw_key_id
        wanted = database.write(factories.version, held)
        database.write(succession.take_over, held.id, wanted, stood, by=None, draw_key_id=key, cause="promote")
        factories.routed(database, held, {"2": PAY})
        say(database, held, {"1": DENY, "2": PAY})
        assert database.read(lambda s: set(s.scalars(select(Shadow.item_id)))) == {2}

    def test_a_case_that_was_taken_back(self, database: Database, held: Setting, lea: Actor) -> None:
        begun(database, held)
        factories.routed(database, held, {"1": PAY, "2": PAY})
        items = lease(database, held)
        database.write(withdrawal.cancel, held, "1", by=lea)
        (each,) = database.read(challenges.standing, held.id)
        said = {item.item_id: {each.id: DENY} for item in items}
        database.write(shadows.keep, held, "w", said, factories.keys(database))
        assert database.read(lambda s: list(s.scalars(select(Shadow.item_id)))) == [2]

    def test_a_late_worker_writes_nothing(self, database: Database, held: Setting, move: Move) -> None:
        (each, _) = begun(database, held), factories.routed(database, held, {"1": PAY})
        slow = lease(database, held, "slow")
        move(timedelta(seconds=61))
        assert say(database, held, {"1": PAY}, "quick") == 1
        said = {item.item_id: {each.id: DENY} for item in slow}
        assert database.write(shadows.keep, held, "slow", said, factories.keys(database)) == 0
        assert rows(database) == [(True, 0.0)]

    def test_the_oldest_where_too_many_wait(self, database: Database, held: Setting) -> None:
        begun(database, held)
        factories.routed(database, held, {str(n): PAY for n in range(10)})
        assert database.write(shadows.leave_out, held.id, 10) == 0
        assert database.write(shadows.leave_out, held.id, 4) == 6
        left = select(Work.item_id).where(Work.kind == "shadow").order_by(Work.item_id)
        assert database.read(lambda s: list(s.scalars(left))) == [7, 8, 9, 10]
