"""What was taken back comes back by signatures alone, whatever happens in between; looks stand aside for whoever was first."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from db.engine import Database
from db.tables import Certificate, Person
from review_queue import autonomy, people, projects, rules, steps
from review_queue.activity import Actor
from review_queue.errors import Refused
from review_queue.projects import Applied, Setting
from tests import factories
from tests.review_queue import earning
from tests.review_queue.acting import Move, at_once

EARNED = {"autonomy": "earned", "automate": {"at_least": 0.3}, "audit": {"rate": 0.05}}
WRITTEN = EARNED | {"autonomy": "set"}
EVIDENCE = {"max_error": 0.05, "most_missed": 0}


@pytest.fixture
def olga(database: Database) -> Actor:
    return factories.person(database, "olga", "owner")


@pytest.fixture
def key(database: Database) -> int:
    return factories.keys(database).draw_key_id


def apply(database: Database, by: Actor, *, signers: int = 1, **policy: Any) -> Applied:
    wished = factories.policy(**{**EARNED, **policy, "evidence": {**EVIDENCE, "signers": signers}})
    key = factories.keys(database).draw_key_id
    return database.write(projects.apply, factories.project(), wished, "Read the file.", key, by=by)


def alone(database: Database, held: Setting, name: str) -> int:
    return factories.routed(database, held, {name: factories.says("pay", 0.99)}).auto


def signed_in(database: Database, name: str) -> Actor:
    held = factories.person(database, name, "owner")
    database.write(lambda session: setattr(session.get_one(Person, held.id), "password_hash", "x"))
    return held


def climbed(database: Database, olga: Actor, key: int) -> Setting:
    held = earning.earned(database, automate={"at_least": 0.3})
    earning.traffic(database, held, 120)
    assert database.write(autonomy.raise_unit, held, "", by=olga, draw_key_id=key).to_level == "audited"
    return held


def test_what_fell_under_set_does_not_act_again_once_it_is_earned(database: Database, olga: Actor, key: int) -> None:
    held = climbed(database, olga, key)
    applied = apply(database, olga, **WRITTEN)
    assert applied.step is not None
    assert (applied.step.state, applied.step.to_level) == ("applied", "set")
    assert alone(database, held, "1") == 1
    assert database.write(autonomy.lower, held, by=olga, draw_key_id=key).to_level == "assist"
    apply(database, olga, **EARNED)
    assert alone(database, held, "2") == 0
    assert database.read(rules.level, held.id) == "assist"
    database.write(autonomy.raise_unit, held, "", by=olga, draw_key_id=key)
    assert alone(database, held, "3") == 1


def test_an_alarm_takes_an_offer_off_the_table_that_some_have_signed(database: Database, key: int) -> None:
    one, two = signed_in(database, "one"), signed_in(database, "two")
    evidence = EVIDENCE | {"signers": 2}
    wished = factories.policy(**WRITTEN | {"automate": {"at_least": 0.9}, "audit": {"rate": 0.25}, "evidence": evidence})
    held = factories.setting(database, wished=wished)
    step = apply(database, one, signers=2, **WRITTEN | {"automate": {"at_least": 0.8}, "audit": {"rate": 0.25}}).step
    assert step is not None
    assert step.state == "open"
    earning.traffic(database, held, 400, errors=25)
    assert database.write(autonomy.look) == 1
    with pytest.raises(Refused, match="withdrawn already"):
        database.write(autonomy.sign, step.id, by=two, draw_key_id=key)
    assert alone(database, held, "1") == 0


def test_a_warning_leaves_other_offers_on_the_table(database: Database, olga: Actor, key: int, move: Move) -> None:
    held = climbed(database, olga, key)
    for _ in range(15):
        move(timedelta(days=1))
        earning.traffic(database, held, 40)
    assert database.write(autonomy.raise_unit, held, "", by=olga, draw_key_id=key).to_level == "floor"
    asker = replace(olga, known_answers=True)
    offer = apply(database, asker, **WRITTEN).step
    assert offer is not None
    move(timedelta(days=1))
    earning.traffic(database, held, 80, errors=3)
    assert database.write(autonomy.look) >= 1
    assert database.read(autonomy.history, held)[0].to_level == "audited"
    assert database.read(steps.step, offer.id).state == "open"


def test_more_signers_hold_for_what_is_on_the_table_already(database: Database, olga: Actor, key: int) -> None:
    held = earning.earned(database, automate={"at_least": 0.3})
    earning.traffic(database, held, 120)
    asker = replace(olga, known_answers=True)
    step = database.write(autonomy.raise_unit, held, "", by=asker, draw_key_id=key)
    assert (step.state, step.signers) == ("open", 1)
    apply(database, olga, signers=2)
    one, two = signed_in(database, "one"), signed_in(database, "two")
    signed = database.write(autonomy.sign, step.id, by=one, draw_key_id=key)
    assert (signed.state, signed.signers, alone(database, held, "1")) == ("open", 2, 0)
    assert database.write(autonomy.sign, step.id, by=two, draw_key_id=key).state == "applied"


def test_the_known_answers_are_known_by_any_door(database: Database) -> None:
    account = database.write(people.add_person, people.KNOWN_ANSWERS, role="owner")
    for via in ("api", "desk", "cli"):
        actor = database.read(people.actor, account.id, via)
        assert actor is not None
        assert not database.read(steps.may_sign, actor, 1)


def test_a_look_comes_to_nothing_where_the_rule_changed_since(database: Database, olga: Actor, key: int) -> None:
    held = climbed(database, olga, key)
    earning.traffic(database, held, 200, errors=25)
    found = database.read(autonomy.judged)
    assert [verdict.kind for each in found for verdict in each.verdicts] == ["alarm"]
    database.write(autonomy.lower, held, by=olga, draw_key_id=key)
    before = database.read(rules.count, held.id)
    assert database.write(autonomy.look, found) == 0
    assert database.read(rules.count, held.id) == before
    assert database.read(autonomy.is_due)


def test_looks_of_one_moment_and_a_rise_store_every_certificate_once(database: Database, olga: Actor, key: int) -> None:
    held = earning.earned(database, automate={"at_least": 0.3})
    earning.traffic(database, held, 120)
    found = [database.read(autonomy.judged) for _ in range(3)]
    acts = [lambda each=each: database.write(autonomy.look, each) for each in found]
    acts.append(lambda: database.write(autonomy.raise_unit, held, "", by=olga, draw_key_id=key))
    assert at_once(acts) == []  # type: ignore[arg-type]
    assert len(database.read(lambda s: list(s.scalars(select(Certificate.band))))) == 6
    assert database.read(rules.level, held.id) == "audited"


def test_a_policy_that_asks_for_more_checks_gets_them_at_once_and_one_that_asks_for_fewer_does_not(
    database: Database, key: int, move: Move
) -> None:
    one, two = signed_in(database, "one"), signed_in(database, "two")
    held = earning.earned(database, automate={"at_least": 0.3}, evidence={"signers": 2})
    earning.traffic(database, held, 120)
    step = database.write(autonomy.raise_unit, held, "", by=one, draw_key_id=key)
    database.write(autonomy.sign, step.id, by=two, draw_key_id=key)
    apply(database, one, signers=2, audit={"rate": 0.4})
    (unit,) = database.read(autonomy.overview, held).units
    assert unit.rate == 0.4
    fewer = apply(database, one, signers=2, audit={"rate": 0.01}).step
    assert fewer is not None
    assert fewer.state == "open"
    for _ in range(15):
        move(timedelta(days=1))
        earning.traffic(database, held, 80)
    (unit,) = database.read(autonomy.overview, held).units
    assert (unit.rate, unit.rise.to_level, unit.rise.ready, unit.rise.rate) == (0.4, "floor", True, 0.4)
