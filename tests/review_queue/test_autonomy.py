"""The ladder through its verbs: it climbs by evidence and signatures, and falls by evidence alone."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from db.engine import Database
from db.tables import Certificate, RoutingRule
from review_queue import autonomy, ladder, notices, permits, projects, rules, steps
from review_queue.activity import Actor
from review_queue.autonomy import Overview
from review_queue.errors import Forbidden, Invalid, NotFound, Refused
from review_queue.projects import Setting
from review_queue.steps import Step
from tests import factories
from tests.review_queue import earning
from tests.review_queue.acting import Move, at_once

Climb = Callable[..., Step]


@pytest.fixture
def olga(database: Database) -> Actor:
    return factories.person(database, "olga", "owner")


@pytest.fixture
def climb(database: Database, olga: Actor) -> Climb:
    def up(held: Setting, unit: str = "", by: Actor | None = None, **more: Any) -> Step:
        key = factories.keys(database).draw_key_id
        return database.write(autonomy.raise_unit, held, unit, by=by or olga, draw_key_id=key, **more)

    return up


def seen(database: Database, held: Setting) -> Overview:
    return database.read(autonomy.overview, held)


def level(database: Database, held: Setting) -> str:
    return database.read(rules.level, held.id)


def told(database: Database, held: Setting) -> list[str]:
    return [each.kind for each in database.read(notices.standing, held.id)]


def on_the_floor(database: Database, held: Setting, climb: Climb, move: Move) -> None:
    """From assist to the floor, without an error."""
    earning.traffic(database, held, 120)
    assert climb(held).to_level == "audited"
    for _ in range(15):
        move(timedelta(days=1))
        earning.traffic(database, held, 40)
        database.write(autonomy.look)
    assert climb(held).to_level == "floor"


def test_nothing_rises_without_evidence(database: Database, climb: Climb) -> None:
    held = earning.earned(database)
    with pytest.raises(Refused, match="74 more looks without an error"):
        climb(held)
    earning.traffic(database, held, 73)
    with pytest.raises(Refused, match="1 more looks without an error"):
        climb(held)
    assert level(database, held) == "assist"


def test_it_climbs_to_the_floor_step_by_step_and_every_step_is_a_rule(database: Database, climb: Climb, move: Move) -> None:
    held = earning.earned(database)
    earning.traffic(database, held, 120)
    step = climb(held)
    assert (step.state, step.from_level, step.to_level, step.signed_by) == ("applied", "assist", "audited", ("olga",))
    assert step.grounds.counts["drawn"] == 120
    assert step.grounds.log_e is not None
    assert step.grounds.alpha == 0.05
    assert step.grounds.delta == pytest.approx(0.05)
    assert step.routing_rule_id == database.read(lambda s: max(s.scalars(select(RoutingRule.id))))
    assert factories.routed(database, held, {"1": factories.says("pay", 0.99)}).auto == 1
    with pytest.raises(Refused, match="0 of 14 days"):
        climb(held)
    for _ in range(15):
        move(timedelta(days=1))
        earning.traffic(database, held, 40)
    assert climb(held).to_level == "floor"
    unit = seen(database, held).units[0]
    assert (unit.level, unit.threshold, unit.rate) == ("floor", 0.3, 0.05)


def test_an_alarm_takes_it_back_at_once_and_its_evidence_begins_anew(database: Database, climb: Climb, move: Move) -> None:
    held = earning.earned(database)
    on_the_floor(database, held, climb, move)
    move(timedelta(days=1))
    earning.traffic(database, held, 200, errors=9)
    assert database.read(autonomy.is_due)
    assert database.write(autonomy.look) >= 1
    fallen = database.read(autonomy.history, held)[0]
    assert (fallen.kind, fallen.from_level, fallen.to_level, fallen.signed_by) == ("fall", "floor", "assist", ())
    assert fallen.routing_rule_id is not None
    assert fallen.grounds.counts["m"] >= ladder.ALARM
    assert told(database, held) == ["alarm"]
    assert level(database, held) == "assist"
    assert factories.routed(database, held, {"1": factories.says("pay", 0.99)}).review == 1
    now = seen(database, held).units[0]
    assert (now.ledger.begun, now.ledger.bands[0].n, now.ledger.certified) == (2, 0, None)
    with pytest.raises(Refused, match="74 more looks"):
        climb(held)
    assert not database.read(autonomy.is_due)


def test_a_warning_brings_more_checks_back(database: Database, climb: Climb, move: Move) -> None:
    held = earning.earned(database)
    on_the_floor(database, held, climb, move)
    move(timedelta(days=1))
    earning.traffic(database, held, 80, errors=3)
    database.write(autonomy.look)
    unit = seen(database, held).units[0]
    assert (unit.level, unit.rate, unit.threshold) == ("audited", 0.25, 0.3)
    assert ladder.WARN <= unit.m < ladder.ALARM
    assert told(database, held) == ["warning"]
    move(timedelta(days=15))
    with pytest.raises(Refused, match="the detector is at"):
        climb(held)


def test_evidence_that_is_old_is_stale(database: Database, climb: Climb, move: Move) -> None:
    held = earning.earned(database)
    on_the_floor(database, held, climb, move)
    move(timedelta(days=89))
    assert database.write(autonomy.look) == 0
    move(timedelta(days=4))
    assert database.write(autonomy.look) == 1
    assert (seen(database, held).units[0].level, told(database, held)) == ("audited", ["stale"])


def test_checks_that_nobody_looks_at_freeze_automation(database: Database, climb: Climb, move: Move) -> None:
    held = earning.earned(database)
    on_the_floor(database, held, climb, move)
    earning.traffic(database, held, 400, late=12)
    move(timedelta(days=8))
    database.write(autonomy.look)
    assert level(database, held) == "frozen"
    assert told(database, held) == ["overdue"]
    assert factories.routed(database, held, {"1": factories.says("pay", 0.99)}).review == 1
    with pytest.raises(Refused, match="frozen"):
        climb(held)
    olga, key = factories.person(database, "ove", "owner"), factories.keys(database).draw_key_id
    assert database.write(projects.freeze, held.name, key, by=olga, frozen=False)
    move(timedelta(days=1))
    assert database.write(autonomy.look) == 0
    assert level(database, held) == "floor"


def test_it_widens_to_a_lower_threshold_a_week_after_the_last(database: Database, climb: Climb, move: Move) -> None:
    held = earning.earned(database)
    earning.traffic(database, held, 120, sure=0.96)
    earning.traffic(database, held, 20, errors=8, sure=0.6)
    assert climb(held).wanted.standing is not None
    assert database.read(permits.read, held.id).units[""].threshold == 0.7  # type: ignore[union-attr]
    for _ in range(15):
        move(timedelta(days=1))
        earning.traffic(database, held, 40)
    assert climb(held).to_level == "floor"
    with pytest.raises(Refused, match=r"from 0\.5"):
        climb(held)
    earning.traffic(database, held, 4000, errors=3, sure=0.6)
    with pytest.raises(Invalid, match=r"0\.8 is not a threshold"):
        climb(held, threshold=0.8)
    step = climb(held, threshold=0.5)
    assert (step.from_level, step.to_level) == ("floor", "audited")
    assert step.wanted.standing is not None
    assert step.wanted.standing.threshold == 0.5


def test_a_policy_that_asks_for_more_than_is_certified_is_a_wish(database: Database, climb: Climb, olga: Actor) -> None:
    held = earning.earned(database, automate={"at_least": 0.5})
    earning.traffic(database, held, 120, sure=0.96)
    earning.traffic(database, held, 30, errors=20, sure=0.6)
    climb(held)
    unit = seen(database, held).units[0]
    assert (unit.wish, unit.threshold) == (0.5, 0.7)
    assert factories.routed(database, held, {"1": factories.says("pay", 0.69), "2": factories.says("pay", 0.71)}).auto == 1


def test_a_label_that_is_wrong_too_often_leaves_automation_at_once(database: Database, climb: Climb, move: Move) -> None:
    held = earning.earned(database)
    on_the_floor(database, held, climb, move)
    earning.traffic(database, held, 200, errors=6, label="deny")
    earning.traffic(database, held, 4000)
    database.write(autonomy.look)
    now = seen(database, held)
    assert now.kept == ('label == "deny"',)
    assert "unsafe" in told(database, held)
    written = factories.routed(database, held, {"1": factories.says("pay", 0.99), "2": factories.says("deny", 0.99)})
    assert (written.auto, written.review) == (int(level(database, held) != "assist"), 2 - int(level(database, held) != "assist"))


def test_a_group_that_is_wrong_too_often_stops_a_rise(database: Database, climb: Climb) -> None:
    held = earning.earned(database)
    earning.traffic(database, held, 1500, groups={"sex": "m"})
    earning.traffic(database, held, 20, errors=9, groups={"sex": "f"})
    with pytest.raises(Refused, match="sex f was wrong in 9 of 20 looks"):
        climb(held)


class TestSigners:
    @pytest.fixture
    def held(self, database: Database) -> Setting:
        held = earning.earned(database, evidence={"signers": 2})
        earning.traffic(database, held, 120)
        return held

    @pytest.fixture
    def key(self, database: Database) -> int:
        return factories.keys(database).draw_key_id

    def owner(self, database: Database, name: str) -> Actor:
        made = factories.person(database, name, "owner")
        return Actor(made.id, made.name, made.role, "api")

    def test_two_people_sign_and_nothing_acts_before(self, database: Database, held: Setting, climb: Climb, key: int) -> None:
        one, two = self.owner(database, "one"), self.owner(database, "two")
        step = climb(held, by=one)
        assert (step.state, step.signed_by) == ("open", ("one",))
        again = database.write(autonomy.sign, step.id, by=one, draw_key_id=key)
        assert (again.state, level(database, held)) == ("open", "assist")
        done = database.write(autonomy.sign, step.id, by=two, draw_key_id=key)
        assert (done.state, done.signed_by, level(database, held)) == ("applied", ("one", "two"), "audited")

    def test_what_does_not_hold_any_more_is_not_signed(self, database: Database, held: Setting, climb: Climb, key: int) -> None:
        step = climb(held, by=self.owner(database, "one"))
        database.write(projects.freeze, held.name, key, by=self.owner(database, "cem"))
        with pytest.raises(Refused, match="frozen"):
            database.write(autonomy.sign, step.id, by=self.owner(database, "two"), draw_key_id=key)

    def test_the_last_two_sign_at_once_and_one_rule_is_made(
        self, database: Database, held: Setting, climb: Climb, key: int
    ) -> None:
        one, two, three = (self.owner(database, name) for name in ("one", "two", "three"))
        step = climb(held, by=one)
        before = database.read(rules.count, held.id)
        lost = at_once(
            [lambda by=by: database.write(autonomy.sign, step.id, by=by, draw_key_id=key) for by in (two, three)]  # type: ignore[misc]
        )
        assert [type(error) for error in lost] == [Refused]
        assert database.read(rules.count, held.id) == before + 1
        assert len(database.read(steps.step, step.id).signed_by) == 2

    def test_a_freeze_beside_the_last_signature_holds(self, database: Database, held: Setting, climb: Climb, key: int) -> None:
        one, two, lea = self.owner(database, "one"), self.owner(database, "two"), factories.person(database, "lea", "lead")
        step = climb(held, by=one)
        at_once(
            [
                lambda: database.write(autonomy.sign, step.id, by=two, draw_key_id=key),
                lambda: database.write(projects.freeze, held.name, key, by=lea),
            ]
        )
        assert level(database, held) == "frozen"
        assert factories.routed(database, held, {"1": factories.says("pay", 0.99)}).review == 1

    @pytest.mark.parametrize("role", ["viewer", "reviewer", "lead"])
    def test_only_owners_propose_sign_and_withdraw(
        self, database: Database, held: Setting, climb: Climb, key: int, role: str
    ) -> None:
        low = factories.person(database, "low", role)
        with pytest.raises(Forbidden, match="by owners"):
            climb(held, by=low)
        step = climb(held, by=self.owner(database, "one"))
        with pytest.raises(Forbidden, match="by owners"):
            database.write(autonomy.sign, step.id, by=low, draw_key_id=key)
        with pytest.raises(Forbidden, match="by owners"):
            database.write(autonomy.withdraw, step.id, by=low)
        with pytest.raises(NotFound, match="no step 999"):
            database.write(autonomy.sign, 999, by=low, draw_key_id=key)
        assert level(database, held) == "assist"

    def test_an_offer_is_withdrawn(self, database: Database, held: Setting, climb: Climb, key: int) -> None:
        one = self.owner(database, "one")
        step = climb(held, by=one)
        assert database.write(autonomy.withdraw, step.id, by=one).state == "withdrawn"
        with pytest.raises(Refused, match="withdrawn already"):
            database.write(autonomy.sign, step.id, by=one, draw_key_id=key)


class TestSet:
    """Thresholds act as written; an alarm does what the policy says."""

    def held(self, database: Database, on_alarm: str) -> Setting:
        evidence = {"max_error": 0.05, "most_missed": 0, "on_alarm": on_alarm}
        held = factories.setting(database, wished=factories.policy(audit={"rate": 0.25}, evidence=evidence))
        earning.traffic(database, held, 200)
        return held

    def test_it_says_what_earned_would_allow(self, database: Database) -> None:
        held = self.held(database, "review")
        now = seen(database, held)
        assert (now.autonomy, now.level, now.units[0].level) == ("set", "set", "set")
        assert now.allows.startswith("nothing")
        earning.traffic(database, held, 1000)
        assert seen(database, held).allows == "all cases from 0.9"
        assert database.read(autonomy.rises, held) == []

    def test_an_alarm_sends_everything_to_people_until_somebody_signs(
        self, database: Database, olga: Actor, climb: Climb
    ) -> None:
        held, key = self.held(database, "review"), factories.keys(database).draw_key_id
        with pytest.raises(Refused, match="as written"):
            climb(held)
        earning.traffic(database, held, 200, errors=25)
        database.write(autonomy.look)
        assert told(database, held) == ["alarm"]
        assert factories.routed(database, held, {"1": factories.says("pay", 0.99)}).review == 1
        database.write(autonomy.look)
        step = database.write(autonomy.regrant, held, by=olga, draw_key_id=key)
        assert (step.state, step.to_level) == ("applied", "set")
        assert factories.routed(database, held, {"2": factories.says("pay", 0.99)}).auto == 1
        with pytest.raises(Refused, match="nothing that the policy asks for is withheld"):
            database.write(autonomy.regrant, held, by=olga, draw_key_id=key)

    def test_an_alarm_may_only_give_notice_and_does_so_once(self, database: Database, olga: Actor) -> None:
        held = self.held(database, "notice")
        earning.traffic(database, held, 200, errors=25)
        database.write(autonomy.look)
        (notice,) = database.read(notices.standing, held.id)
        assert notice.kind == "alarm"
        assert notice.said.endswith("What acts alone goes on.")
        assert factories.routed(database, held, {"1": factories.says("pay", 0.99)}).auto == 1
        database.write(notices.close, notice.id, by=olga)
        earning.traffic(database, held, 8)
        database.write(autonomy.look)
        assert told(database, held) == []


def test_a_look_passes_by_what_another_looks_at_and_stores_once(database: Database) -> None:
    held = earning.earned(database)
    earning.traffic(database, held, 120)
    assert at_once([lambda: database.write(autonomy.look)] * 3) == []
    assert len(database.read(lambda s: list(s.scalars(select(Certificate.band))))) == 6
    assert database.write(autonomy.look) == 0


def test_leads_take_autonomy_back(database: Database, climb: Climb, lea: Actor, ann: Actor) -> None:
    held, key = earning.earned(database), factories.keys(database).draw_key_id
    with pytest.raises(Refused, match="assist already"):
        database.write(autonomy.lower, held, by=lea, draw_key_id=key)
    earning.traffic(database, held, 120)
    climb(held)
    with pytest.raises(Forbidden, match="for leads"):
        database.write(autonomy.lower, held, by=ann, draw_key_id=key)
    with pytest.raises(NotFound, match="no unit 'x'"):
        database.write(autonomy.lower, held, by=lea, draw_key_id=key, unit="x")
    with pytest.raises(Invalid, match="no level to go down to"):
        database.write(autonomy.lower, held, by=lea, draw_key_id=key, to="floor")
    step = database.write(autonomy.lower, held, by=lea, draw_key_id=key)
    assert (step.kind, step.to_level, step.made_by, step.state) == ("fall", "assist", "lea", "applied")
    assert level(database, held) == "assist"
    assert climb(held).to_level == "audited"  # what people took back is as proven as it was
