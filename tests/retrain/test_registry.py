"""Versions, roles, and promotions that people sign."""

import threading

import pytest
from sqlalchemy import select

from contract.policy import Policy
from db.engine import Database
from db.tables import EvidencePeriod, RoutingRule
from retrain import registry
from retrain.records import ModelInfo
from review_queue import people, projects, spreads
from review_queue.activity import Actor
from review_queue.errors import Forbidden, NotFound, Refused
from review_queue.projects import Setting
from tests import factories


@pytest.fixture
def held(database: Database) -> Setting:
    return factories.setting(database)


def register(database: Database, held: Setting, body: bytes = b"zip", right: float | None = None) -> ModelInfo:
    judged = {"held_out": {"n": 400, "answered": 400, "accuracy": right}} if right is not None else {}
    return database.write(
        registry.register,
        held.id,
        body,
        trainer="test",
        labels=list(held.project.labels),
        schema_hash="",
        figures={"grids": {"max_probability": [0.4, 0.9]}, **judged},
        datasets=[],
        by=None,
    )


def key(database: Database) -> int:
    return factories.keys(database).draw_key_id


def owner(database: Database, name: str = "olga") -> Actor:
    return factories.person(database, name, "owner")


def promote(database: Database, held: Setting, version: int, by: Actor) -> registry.ProposalInfo:
    return database.write(registry.propose, held.id, version, by=by, draw_key_id=key(database))


def test_a_promotion_changes_champion_period_and_rule_together(database: Database, held: Setting) -> None:
    before = database.read(registry.champion, held.id)
    info = register(database, held)
    proposal = promote(database, held, info.version, owner(database))
    assert proposal.state == "applied"
    assert proposal.signed_by == ("olga",)
    after = database.read(registry.champion, held.id)
    assert before is not None
    assert after is not None
    assert after.version == info.version
    assert database.read(registry.model, held.id, before.version).aliases == ("previous",)
    periods = database.read(lambda s: list(s.scalars(select(EvidencePeriod).order_by(EvidencePeriod.id))))
    assert [period.closed_at is None for period in periods] == [False, True]
    rules = database.read(lambda s: list(s.scalars(select(RoutingRule).order_by(RoutingRule.id))))
    assert rules[-1].period_id == periods[-1].id
    assert rules[-1].cause == "promote"


def test_who_is_clearly_less_often_right_acts_only_by_force(database: Database, held: Setting) -> None:
    olga = owner(database)
    promote(database, held, register(database, held, b"good", 0.9).version, olga)
    close, worse = register(database, held, b"close", 0.88), register(database, held, b"worse", 0.11)
    with pytest.raises(
        Refused, match=r"is right in 11.0% of 400 labelled rows, and model [0-9]+, which acts, in 90.0% of 400.*--force"
    ):
        promote(database, held, worse.version, olga)
    assert promote(database, held, close.version, olga).state == "applied"
    forced = database.write(registry.propose, held.id, worse.version, by=olga, draw_key_id=key(database), force=True)
    assert forced.state == "applied"


def test_two_signers_must_be_two_people(database: Database) -> None:
    policy: Policy = factories.policy(evidence={"signers": 2})
    held = factories.setting(database, wished=policy)
    info = register(database, held)
    olga = owner(database)
    first = promote(database, held, info.version, olga)
    assert (first.state, first.signed_by) == ("open", ("olga",))
    again = database.write(registry.sign, first.id, by=olga, draw_key_id=key(database))
    assert again.state == "open"
    last = database.write(registry.sign, first.id, by=owner(database, "otto"), draw_key_id=key(database))
    assert (last.state, last.signed_by) == ("applied", ("olga", "otto"))
    with pytest.raises(Refused, match="applied already"):
        database.write(registry.sign, first.id, by=owner(database, "uwe"), draw_key_id=key(database))


def test_services_the_known_answers_and_reviewers_do_not_sign(database: Database, held: Setting) -> None:
    info = register(database, held)
    robot = database.write(people.add_person, "robot", role="admin", kind="service")
    with pytest.raises(Forbidden, match="only people"):
        promote(database, held, info.version, Actor(robot.id, robot.name, robot.role, "api"))
    with pytest.raises(Forbidden, match="owners"):
        promote(database, held, info.version, factories.person(database, "ann"))
    assert database.read(registry.proposals, held.id) == []


def test_rollback_brings_the_former_champion_back(database: Database, held: Setting) -> None:
    former = database.read(registry.champion, held.id)
    assert former is not None
    olga = owner(database)
    with pytest.raises(Refused, match="no former champion"):
        database.write(registry.rollback, held.id, by=olga, draw_key_id=key(database))
    promote(database, held, register(database, held).version, olga)
    back = database.write(registry.rollback, held.id, by=olga, draw_key_id=key(database))
    assert (back.kind, back.state, back.version) == ("rollback", "applied", former.version)


def test_what_cannot_be_promoted_says_why(database: Database, held: Setting) -> None:
    olga = owner(database)
    acting = database.read(registry.champion, held.id)
    assert acting is not None
    with pytest.raises(Refused, match="champion already"):
        promote(database, held, acting.version, olga)
    with pytest.raises(NotFound, match="no model version"):
        promote(database, held, 999, olga)
    strange = database.write(
        registry.register, held.id, b"z", trainer="t", labels=["deny", "maybe"], schema_hash="", figures={}, datasets=[], by=None
    )
    with pytest.raises(Refused, match="'maybe'"):
        promote(database, held, strange.version, olga)


def test_a_proposal_against_a_champion_that_is_gone_is_refused(database: Database) -> None:
    held = factories.setting(database, wished=factories.policy(evidence={"signers": 2}))
    olga, otto = owner(database), owner(database, "otto")
    first = promote(database, held, register(database, held, b"1").version, olga)
    second = promote(database, held, register(database, held, b"2").version, olga)
    database.write(registry.sign, first.id, by=otto, draw_key_id=key(database))
    with pytest.raises(Refused, match="another model acts"):
        database.write(registry.sign, second.id, by=otto, draw_key_id=key(database))
    with pytest.raises(Forbidden, match="owners"):
        database.write(registry.withdraw, second.id, by=factories.person(database, "ann"))
    database.write(registry.withdraw, second.id, by=olga)
    assert [p.state for p in database.read(registry.proposals, held.id)] == ["withdrawn", "applied"]


def test_of_two_promotions_at_once_one_wins_and_one_is_told(database: Database, held: Setting) -> None:
    olga = owner(database)
    versions = [register(database, held, bytes([n])).version for n in range(4)]
    told: list[BaseException] = []

    def run(version: int) -> None:
        try:
            promote(database, held, version, olga)
        except Refused as error:
            told.append(error)

    threads = [threading.Thread(target=run, args=(version,)) for version in versions]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    applied = [p for p in database.read(registry.proposals, held.id) if p.state == "applied"]
    assert len(applied) + len(told) == 4
    rule = database.read(lambda s: projects.rules.in_force(s, held.id, held.policy))
    acting = database.read(registry.champion, held.id)
    assert rule is not None
    assert acting is not None
    assert rule.model_id == acting.id


def test_the_spread_of_what_a_model_learned_from_is_kept_with_it(database: Database, held: Setting) -> None:
    rows = [{"amount": float(n), "region": "north"} for n in range(30)]
    found = spreads.spread(held.project, rows, whole=True)
    figures = {"grids": {"max_probability": [0.4, 0.9]}}
    given = {
        "trainer": "test",
        "labels": list(held.project.labels),
        "schema_hash": "",
        "figures": figures,
        "datasets": [],
        "by": None,
    }
    info = database.write(registry.register, held.id, b"spread", **given, spread=found)
    assert not database.read(spreads.lacks, info.id)
    assert database.read(spreads.lacks, register(database, held, b"none").id)
    promote(database, held, info.version, owner(database))
    assert database.read(spreads.acting, held.id) == found
