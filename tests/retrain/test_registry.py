"""Versions, roles, and promotions that people sign."""

import threading

import pytest
from sqlalchemy import select

from contract.policy import Policy
from db.engine import Database
from db.tables import Activity, EvidencePeriod, Outbox, RoutingRule
from retrain import registry, verdicts
from retrain.records import ModelInfo
from retrain.verdicts import Verdict
from review_queue import clock, people, projects, spreads
from review_queue.activity import Actor
from review_queue.errors import Forbidden, NotFound, Refused
from review_queue.projects import Setting
from tests import factories


@pytest.fixture
def held(database: Database) -> Setting:
    return factories.setting(database)


def register(database: Database, held: Setting, body: bytes = b"zip") -> ModelInfo:
    return database.write(
        registry.register,
        held.id,
        body,
        trainer="test",
        labels=list(held.project.labels),
        schema_hash="",
        figures={"grids": {"max_probability": [0.4, 0.9]}},
        datasets=[],
        by=None,
    )


def key(database: Database) -> int:
    return factories.keys(database).draw_key_id


def owner(database: Database, name: str = "olga") -> Actor:
    return factories.person(database, name, "owner")


def promote(database: Database, held: Setting, version: int, by: Actor) -> registry.ProposalInfo:
    """By whoever has a reason to go past the gate."""
    why = {"force": True, "why": "a test"}
    return database.write(registry.propose, held.id, version, by=by, draw_key_id=key(database), **why)


def look(database: Database, held: Setting, info: ModelInfo, *, passed: bool = True) -> Verdict:
    """A look at the gate, against the model that acts."""
    standing = database.read(registry.champion, held.id)
    assert standing is not None
    missing = [] if passed else ["overall about 240 more decided cases on which they differ are needed"]
    figures = {"passed": passed, "said": "", "missing": missing}
    return database.write(verdicts.keep, held.id, (info.id, standing.id), 0, figures, None)


def ask(database: Database, held: Setting, info: ModelInfo, by: Actor) -> registry.ProposalInfo:
    return database.write(registry.propose, held.id, info.version, by=by, draw_key_id=key(database))


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


def test_what_has_not_passed_the_gate_is_told_what_is_missing(database: Database, held: Setting) -> None:
    olga, info = owner(database), register(database, held)
    with pytest.raises(Refused, match=r"nothing has held it against model [0-9]+.*signoff model compare.*--force --why TEXT"):
        ask(database, held, info, olga)
    look(database, held, info, passed=False)
    with pytest.raises(Refused, match="about 240 more decided cases on which they differ"):
        ask(database, held, info, olga)
    passed = look(database, held, info)
    made = ask(database, held, info, olga)
    assert (made.state, made.gate_id, made.why) == ("applied", passed.id, None)


def test_an_old_gate_or_one_against_another_model_counts_for_nothing(
    database: Database, held: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    olga, other, info = owner(database), register(database, held, b"other"), register(database, held)
    look(database, held, info)
    promote(database, held, other.version, olga)
    with pytest.raises(Refused, match=f"nothing has held it against model {other.version}"):
        ask(database, held, info, olga)
    look(database, held, info)
    present = clock.now
    monkeypatch.setattr(clock, "now", lambda: present() + verdicts.FRESH)
    with pytest.raises(Refused, match="more than 30 days old"):
        ask(database, held, info, olga)


def test_going_past_the_gate_takes_a_reason_that_is_kept(database: Database, held: Setting) -> None:
    olga, info = owner(database), register(database, held)
    for why in (None, "  "):
        with pytest.raises(Refused, match="say why"):
            database.write(registry.propose, held.id, info.version, by=olga, draw_key_id=key(database), force=True, why=why)
    made = promote(database, held, info.version, olga)
    assert (made.state, made.gate_id, made.why) == ("applied", None, "a test")
    told = database.read(lambda s: s.scalars(select(Activity).where(Activity.verb == "model.promote")).one())
    assert told.after == {"proposal": str(made.id), "why": "a test"}


def test_what_passed_is_offered_without_a_name_and_acts_once_it_is_signed(database: Database, held: Setting) -> None:
    info = register(database, held)
    passed = look(database, held, info)
    made = database.write(registry.offer, held.id, info.version, passed.id)
    assert (made.state, made.signed_by, made.gate_id) == ("open", (), passed.id)
    again = look(database, held, info)
    renewed = database.write(registry.offer, held.id, info.version, again.id)
    assert (renewed.id, renewed.gate_id) == (made.id, again.id)
    told = database.read(lambda s: list(s.scalars(select(Outbox.body).where(Outbox.kind == "model.offered"))))
    assert [each["version"] for each in told] == [info.version]
    with pytest.raises(Forbidden, match="owners"):
        database.write(registry.sign, made.id, by=factories.person(database, "ann"), draw_key_id=key(database))
    assert database.write(registry.sign, made.id, by=owner(database), draw_key_id=key(database)).state == "applied"
    with pytest.raises(Refused, match="nothing is to be offered"):
        database.write(registry.offer, held.id, info.version, again.id)


def test_what_the_gate_sees_later_keeps_an_open_proposal_back(database: Database, held: Setting) -> None:
    info = register(database, held)
    made = database.write(registry.offer, held.id, info.version, look(database, held, info).id)
    look(database, held, info, passed=False)
    with pytest.raises(Refused, match="does not let it pass any more: overall about 240 more"):
        database.write(registry.sign, made.id, by=owner(database), draw_key_id=key(database))
    assert database.read(registry.proposals, held.id)[0].signed_by == ()


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
    taken_back = register(database, held).version
    promote(database, held, taken_back, olga)
    back = database.write(registry.rollback, held.id, by=olga, draw_key_id=key(database))
    assert (back.kind, back.state, back.version) == ("rollback", "applied", former.version)
    with pytest.raises(Refused, match="no former champion"):
        database.write(registry.rollback, held.id, by=olga, draw_key_id=key(database))
    with pytest.raises(Refused, match="did not act before"):
        database.write(registry.propose, held.id, taken_back, by=olga, draw_key_id=key(database), kind="rollback")


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
