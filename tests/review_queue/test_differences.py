"""Who was right where the model that acts and one in its shadow differ, and what follows from it."""

from datetime import timedelta
from math import log
from typing import Any

import pytest
from sqlalchemy import select

from db.engine import Database
from db.tables import AutonomyEvent, RoutingRule
from review_queue import (
    acting,
    autonomy,
    batches,
    challenges,
    checks,
    differences,
    notices,
    outcomes,
    succession,
    truths,
    withdrawal,
)
from review_queue.activity import Actor
from review_queue.differences import Figures, Part
from review_queue.projects import Setting
from tests import factories
from tests.review_queue import earning
from tests.review_queue.acting import Move, take
from tests.review_queue.beside import DENY, PAY, begun, decide, say


def seen(database: Database, challenge_id: int) -> Figures:
    return database.read(differences.figures, challenge_id)


def promoted(database: Database, held: Setting) -> int:
    """Another version acts; the former champion, which goes into shadow."""
    stood = database.read(acting.model_id, held.id)
    assert stood is not None
    wanted, key = database.write(factories.version, held), factories.keys(database).draw_key_id
    database.write(succession.take_over, held.id, wanted, stood, by=None, draw_key_id=key, cause="promote")
    return stood


def differ(database: Database, held: Setting, actor: Actor, right: str, n: int, name: str = "d") -> None:
    """`n` cases act alone as pay, the model in shadow says deny, and people say which is right."""
    factories.routed(database, held, {f"{name}-{i}": PAY for i in range(n)})
    say(database, held, {f"{name}-{i}": DENY for i in range(n)})
    for _ in range(n):
        decide(database, held, actor, right)


class TestFigures:
    def test_it_tells_who_was_right_where_they_differ(self, database: Database, held: Setting, ann: Actor) -> None:
        stood = begun(database, held)
        assert (seen(database, stood.id).n, seen(database, stood.id).difference) == (0, None)
        factories.routed(database, held, {str(i): PAY for i in range(8)})
        say(database, held, {str(i): PAY if i < 5 else DENY for i in range(8)})
        for label in ("deny", "deny", "pay"):
            decide(database, held, ann, label)
        found = seen(database, stood.id)
        assert (found.n, found.agreed, found.differ, found.judged, found.open) == (8, 5, 3, 3, 0)
        assert found.whole == Part("", "", 1, 2, 0)
        assert found.parts == (Part("label", "deny", 0, 2, 0), Part("label", "pay", 1, 0, 0))
        assert found.difference == pytest.approx(-1 / 8)
        assert found.low < -1 / 8 < found.high
        assert [(day.n, day.agreed) for day in found.days] == [(8, 5)]
        assert not found.better
        assert not found.worse

    def test_a_case_by_its_chance_of_a_look(self, database: Database, held: Setting, ann: Actor) -> None:
        stood = begun(database, held, share=0.5)
        factories.routed(database, held, {str(i): PAY for i in range(60)})
        say(database, held, dict.fromkeys(map(str, range(60)), DENY))
        drawn = len(factories.tasks(database, kind="audit"))
        for _ in range(drawn):
            decide(database, held, ann, "deny")
        found = seen(database, stood.id)
        assert found.judged == drawn
        assert found.difference == pytest.approx(-drawn / 0.5 / 60)
        assert found.better

    def test_what_waits_holds_up_what_came_later(
        self, database: Database, held: Setting, ann: Actor, bob: Actor, move: Move
    ) -> None:
        stood = begun(database, held)
        factories.routed(database, held, {"first": PAY})
        say(database, held, {"first": DENY})
        take(database, held, bob)
        differ(database, held, ann, "deny", 1)
        found = seen(database, stood.id)
        assert (found.judged, found.open) == (1, 1)
        assert found.log_e == 0.0
        move(timedelta(days=8))
        database.write(outcomes.resolve_overdue)
        found = seen(database, stood.id)
        assert (found.open, found.late) == (0, 1)
        assert found.log_e <= log(1.01)  # the late one counts against the model in shadow

    def test_a_case_that_was_taken_back_holds_up_nothing(self, database: Database, held: Setting, ann: Actor, lea: Actor) -> None:
        stood = begun(database, held)
        factories.routed(database, held, {"gone": factories.says("pay", 0.6)})
        say(database, held, {"gone": DENY})
        database.write(withdrawal.cancel, held, "gone", by=lea)
        differ(database, held, ann, "deny", 3)
        found = seen(database, stood.id)
        assert (found.open, found.judged, found.whole.beside) == (0, 3, 3)
        assert found.log_e > 0

    def test_what_later_proved_true_of_some_cases_changes_nothing(self, database: Database, held: Setting, ann: Actor) -> None:
        stood = begun(database, held)
        differ(database, held, ann, "deny", 2)
        before = seen(database, stood.id)
        told = truths.check(held.project, {"external_id": "d-0", "label": "pay"})
        database.write(truths.keep, held, [told], by=None)
        assert seen(database, stood.id).whole == before.whole == Part("", "", 0, 2, 0)

    def test_what_people_saw_anyway_counts_whole(self, database: Database, held: Setting, ann: Actor) -> None:
        stood = begun(database, held, share=0.0)
        factories.routed(database, held, {"1": factories.says("pay", 0.6), "2": PAY})
        say(database, held, {"1": DENY, "2": DENY})
        found = seen(database, stood.id)
        assert (found.open, found.unseen, found.judged) == (1, 1, 0)

    def test_it_is_told_by_groups(self, database: Database, held: Setting, ann: Actor) -> None:
        stood = begun(database, held)
        factories.submit(database, held, [{**factories.raw("1"), "groups": {"sex": "f"}}])
        leased = database.write(batches.lease, held.id, "score", "s", limit=1, seconds=60)
        keys, acts = factories.keys(database), stood.against_id
        database.write(batches.write, held.id, "s", [(each, PAY) for each in leased], model_id=acts, keys=keys)
        say(database, held, {"1": DENY})
        decide(database, held, ann, "deny")
        assert seen(database, stood.id).parts == (Part("label", "deny", 0, 1, 0), Part("sex", "f", 0, 1, 0))


WISHED: dict[str, Any] = {
    "evidence": {"max_error": 0.05, "most_missed": 0},
    "audit": {"rate": 0.0},
    "shadow": {"disagreements": 1.0},
}


class TestTheWayBack:
    @pytest.fixture
    def held(self, database: Database) -> Setting:
        return factories.setting(database, wished=factories.policy(**WISHED))

    def test_a_former_champion_that_is_right_where_they_differ_comes_back(
        self, database: Database, held: Setting, ann: Actor, move: Move
    ) -> None:
        former = promoted(database, held)
        differ(database, held, ann, "deny", 3)
        database.write(autonomy.look)
        assert database.read(acting.model_id, held.id) != former
        differ(database, held, ann, "deny", 15, "e")
        move(timedelta(days=1))
        assert database.read(autonomy.is_due)
        database.write(autonomy.look)
        assert database.read(acting.model_id, held.id) == former
        assert database.read(challenges.standing, held.id) == []
        (notice,) = database.read(notices.standing, held.id)
        assert notice.kind == "rollback"
        assert "shows that it is wrong less often" in notice.said
        assert database.read(checks.problems) == []

    def test_one_that_is_wrong_there_does_not(self, database: Database, held: Setting, ann: Actor) -> None:
        former = promoted(database, held)
        differ(database, held, ann, "pay", 15)
        database.write(autonomy.look)
        assert database.read(acting.model_id, held.id) != former
        (stood,) = database.read(challenges.standing, held.id)
        assert seen(database, stood.id).worse

    def test_a_policy_that_wants_to_be_told_is_told(self, database: Database, ann: Actor) -> None:
        wished = {**WISHED, "evidence": {"on_alarm": "notice", "max_error": 0.05, "most_missed": 0}}
        held = factories.setting(database, wished=factories.policy(**wished))
        former = promoted(database, held)
        differ(database, held, ann, "deny", 15)
        database.write(autonomy.look)
        assert database.read(acting.model_id, held.id) != former
        (notice,) = database.read(notices.standing, held.id)
        assert notice.said.endswith("`signoff model rollback` brings it back.")

    def test_an_alarm_brings_it_back_with_the_fall(self, database: Database) -> None:
        held = factories.setting(database, wished=factories.policy(**{**WISHED, "audit": {"rate": 1.0}}))
        former = promoted(database, held)
        earning.traffic(database, held, 200, errors=40)
        assert database.write(autonomy.look) >= 1
        assert database.read(acting.model_id, held.id) == former
        assert {each.kind for each in database.read(notices.standing, held.id)} == {"alarm", "rollback"}
        rule = database.read(lambda s: s.scalars(select(RoutingRule).order_by(RoutingRule.id.desc())).first())
        fallen = database.read(lambda s: s.scalars(select(AutonomyEvent).where(AutonomyEvent.kind == "fall")).one())
        assert rule is not None
        assert (rule.cause, fallen.routing_rule_id) == ("rollback", rule.id)
        assert factories.routed(database, held, {"1": PAY}).review == 1
        earning.traffic(database, held, 200, errors=40)
        database.write(autonomy.look)
        assert database.read(acting.model_id, held.id) == former  # once a promotion
