"""What a policy asks for, what was granted, and who signs the difference."""

from typing import Any

import pytest
from sqlalchemy import select

from db.engine import Database
from db.tables import EvidencePeriod, Outbox
from review_queue import permits, projects, rules, steps
from review_queue.activity import Actor
from review_queue.errors import Forbidden, Refused
from review_queue.projects import Applied, Setting
from review_queue.steps import Step
from tests import factories


def apply(database: Database, by: Actor | None, **policy: Any) -> Applied:
    key = factories.keys(database).draw_key_id
    return database.write(projects.apply, factories.project(), factories.policy(**policy), "Read the file.", key, by=by)


def in_force(database: Database, held: Setting) -> rules.Rule:
    rule = database.read(rules.in_force, held.id, database.read(projects.by_id, held.id).policy)
    assert rule is not None
    return rule


def offers(database: Database, held: Setting) -> list[Step]:
    return database.read(steps.standing_offers, held.id)


@pytest.fixture
def olga(database: Database) -> Actor:
    return factories.person(database, "olga", "owner")


def test_a_looser_policy_is_granted_by_the_one_signature_it_needs(database: Database, held: Setting, olga: Actor) -> None:
    applied = apply(database, olga, automate={"at_least": 0.8})
    assert applied.step is not None
    assert (applied.step.state, applied.step.signed_by) == ("applied", ("olga",))
    assert applied.step.cause == "everything acts alone from 0.8 instead of 0.9"
    assert in_force(database, held).thresholds == {"deny": 0.8, "pay": 0.8}
    assert database.read(lambda s: list(s.scalars(select(Outbox.kind)))) == ["autonomy.changed"]


def test_a_wish_that_lacks_signatures_is_kept_and_not_granted(database: Database, olga: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(evidence={"signers": 2}))
    applied = apply(database, olga, automate={"at_least": 0.5, "per_label": {"deny": 0.95}})
    assert applied.policy_changed
    rule = in_force(database, held)
    assert rule.thresholds == {"deny": 0.95, "pay": 0.9}
    (wish,) = offers(database, held)
    assert (wish.signers, wish.signed_by) == (2, ())  # nobody vouches for who olga is
    assert wish.cause == "1 instead of 2 sign a rise; pay acts alone from 0.5 instead of 0.9"


def test_a_stricter_policy_acts_at_once_and_what_it_gave_up_is_not_had_back_unsigned(database: Database, olga: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(evidence={"signers": 2}))
    strict = apply(database, olga, automate={"at_least": 0.95}, evidence={"signers": 2})
    assert strict.step is None
    assert in_force(database, held).thresholds == {"deny": 0.95, "pay": 0.95}
    assert apply(database, olga, automate={"at_least": 0.9}, evidence={"signers": 2}).step is not None
    assert in_force(database, held).thresholds == {"deny": 0.95, "pay": 0.95}


def test_earned_begins_at_assist_and_going_back_to_set_is_a_rise(database: Database, held: Setting, olga: Actor) -> None:
    down = apply(database, olga, autonomy="earned", audit={"rate": 0.05})
    assert down.step is not None
    assert (down.step.kind, down.step.from_level, down.step.to_level) == ("fall", "set", "assist")
    rule = in_force(database, held)
    assert (rule.level, rule.units) == ("assist", {"": rules.Climbed("assist", None, 1.0)})
    assert factories.routed(database, held, {"1": factories.says("pay", 0.99)}).review == 1
    up = apply(database, olga, audit={"rate": 0.05})
    assert up.step is not None
    assert (up.step.kind, up.step.to_level, up.step.signed_by) == ("rise", "set", ("olga",))
    assert factories.routed(database, held, {"2": factories.says("pay", 0.99)}).auto == 1


def test_what_was_signed_for_ends_with_its_evidence_period(database: Database, held: Setting, olga: Actor) -> None:
    apply(database, olga, autonomy="earned", automate={"at_least": 0.0})
    period = database.read(lambda s: s.scalars(select(EvidencePeriod.id).where(EvidencePeriod.closed_at.is_(None))).one())

    def climb(session: Any) -> None:
        rules.lock(session, held.id)
        wanted = steps.Wanted(unit="", standing=permits.Standing("audited", 0.9, 0.25))
        step = steps.offer(session, held.id, ("assist", "audited"), "certified", wanted, signers=1, period_id=period, by=olga)
        assert steps.sign(session, step, by=olga)
        rules.renew(session, held.id, projects.by_id(session, held.id).policy, ["deny", "pay"], 1, "rise")

    database.write(climb)
    assert in_force(database, held).units == {"": rules.Climbed("audited", 0.9, 0.25)}
    assert factories.routed(database, held, {"1": factories.says("pay", 0.99)}).auto == 1
    database.write(factories.champion, database.read(projects.by_id, held.id), factories.keys(database).draw_key_id)
    assert in_force(database, held).level == "assist"
    assert database.read(steps.latest, held.id)[0].cause == "a new evidence period began (promotion)"


def test_a_freeze_is_lifted_by_as_many_as_sign(database: Database, olga: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(evidence={"signers": 2}))
    key = factories.keys(database).draw_key_id
    assert database.write(projects.freeze, held.name, key, by=olga)
    with pytest.raises(Forbidden, match="2 people sign here"):
        database.write(projects.freeze, held.name, key, by=olga, frozen=False)
    assert in_force(database, held).level == "frozen"


def test_a_step_that_is_over_is_signed_no_more(database: Database, held: Setting, olga: Actor) -> None:
    applied = apply(database, olga, automate={"at_least": 0.8})
    assert applied.step is not None
    with pytest.raises(Refused, match="applied already"):
        database.write(steps.sign, applied.step.id, by=olga)


@pytest.mark.parametrize(("role", "kind"), [("lead", "person"), ("owner", "service")])
def test_only_owners_who_are_people_sign(database: Database, held: Setting, role: str, kind: str) -> None:
    by = factories.person(database, "x", role)
    if kind == "service":
        from db.tables import Person

        database.write(lambda s: setattr(s.get_one(Person, by.id), "kind", "service"))
    assert not database.read(steps.may_sign, by, 1)
