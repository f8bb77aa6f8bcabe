"""What is in force: new rules, evidence periods, freezes."""

import threading
from typing import Any

import pytest
from sqlalchemy import select

from db.engine import Database
from db.tables import EvidencePeriod, Routing, RoutingRule
from review_queue import batches, projects, rules
from review_queue.activity import Actor
from review_queue.errors import Forbidden, Moved, Refused
from review_queue.projects import Setting
from tests import factories


@pytest.fixture
def ann(database: Database) -> Actor:
    return factories.person(database, "ann", "lead")


def apply(database: Database, **policy: Any) -> Setting:
    key = factories.keys(database).draw_key_id
    return database.write(projects.apply, factories.project(), factories.policy(**policy), "Read the file.", key, by=None).setting


def periods(database: Database) -> list[tuple[int, bool]]:
    rows = database.read(lambda s: list(s.scalars(select(EvidencePeriod).order_by(EvidencePeriod.id))))
    return [(row.id, row.closed_at is None) for row in rows]


def in_force(database: Database, held: Setting) -> rules.Rule:
    rule = database.read(rules.in_force, held.id, held.policy)
    assert rule is not None
    return rule


@pytest.mark.parametrize(
    ("change", "new_period"),
    [
        ({"automate": {"at_least": 0.8}}, False),
        ({"automate": {"at_least": "off"}}, False),
        ({"automate": {"at_least": 0.9, "never": ["amount > 5"]}}, True),
        ({"automate": {"at_least": 0.9, "per_label": {"deny": "never"}}}, True),
        ({"automate": {"at_least": 0.9, "per_label": {"deny": 0.95}}}, True),
        ({"audit": {"rate": 0.5}}, False),
        ({"review": {"second_opinion": 0.5}}, False),
        ({"automate": {"at_least": 0.85}}, True),
        ({"automate": {"at_least": 0.9, "per_label": {"deny": 0.97}}}, True),
        ({"score": "margin"}, True),
    ],
)
def test_every_change_is_a_new_rule_and_some_open_a_new_period(
    sqlite: Database, change: dict[str, Any], new_period: bool
) -> None:
    held = factories.setting(sqlite)
    before = in_force(sqlite, held)
    held = apply(sqlite, **change)
    after = in_force(sqlite, held)
    assert after.id != before.id
    assert sqlite.read(rules.count, held.id) == 2
    assert [open_ for _, open_ in periods(sqlite)] == ([False, True] if new_period else [True])
    assert (after.period_id != before.period_id) == new_period
    assert set(filter(None, after.thresholds.values())) <= set(after.grid)
    assert sqlite.read(lambda s: s.get_one(RoutingRule, before.id).thresholds) == before.thresholds


def test_the_same_files_change_nothing(sqlite: Database) -> None:
    held = factories.setting(sqlite)
    before = in_force(sqlite, held)
    apply(sqlite)
    assert in_force(sqlite, held) == before


def test_a_new_model_opens_a_period_and_the_batch_in_hand_is_scored_again(sqlite: Database) -> None:
    held = factories.setting(sqlite)
    old = in_force(sqlite, held)
    factories.submit(sqlite, held, [factories.raw("1")])
    leased = sqlite.write(batches.lease, held.id, "score", "w", limit=9, seconds=60)
    keys = factories.keys(sqlite)
    sqlite.write(factories.champion, held, keys.draw_key_id)
    assert [open_ for _, open_ in periods(sqlite)] == [False, True]
    scored = [(leased[0], factories.says("pay", 0.97))]
    with pytest.raises(Moved):
        sqlite.write(batches.write, held.id, "w", scored, model_id=old.model_id, keys=keys)
    new = in_force(sqlite, held)
    written = sqlite.write(batches.write, held.id, "w", scored, model_id=new.model_id, keys=keys)
    assert written.auto == 1
    assert sqlite.read(lambda s: s.scalars(select(Routing.routing_rule_id)).one()) == new.id


def test_without_a_model_there_is_no_rule(sqlite: Database) -> None:
    held = apply(sqlite)
    assert sqlite.read(rules.in_force, held.id, held.policy) is None
    with pytest.raises(Moved):
        sqlite.write(batches.write, held.id, "w", [], model_id=1, keys=factories.keys(sqlite))


class TestFreeze:
    def test_every_new_item_goes_to_people_until_an_owner_lifts_it(self, database: Database, held: Setting, ann: Actor) -> None:
        key = factories.keys(database).draw_key_id
        assert database.write(projects.freeze, "claims", key, by=ann)
        assert not database.write(projects.freeze, "claims", key, by=ann)
        assert factories.routed(database, held, {"1": factories.says("pay", 0.99)}).review == 1
        with pytest.raises(Refused, match="owners"):
            database.write(projects.freeze, "claims", key, by=ann, frozen=False)
        owner = factories.person(database, "olga", "owner")
        assert database.write(projects.freeze, "claims", key, by=owner, frozen=False)
        assert factories.routed(database, held, {"2": factories.says("pay", 0.99)}).auto == 1
        causes = database.read(lambda s: list(s.scalars(select(RoutingRule.cause).order_by(RoutingRule.id))))
        assert causes == ["promotion", "freeze", "unfreeze"]
        assert [open_ for _, open_ in periods(database)] == [True]

    def test_a_freeze_survives_a_new_policy(self, sqlite: Database) -> None:
        factories.setting(sqlite)
        key = factories.keys(sqlite).draw_key_id
        sqlite.write(projects.freeze, "claims", key, by=factories.person(sqlite, "ann", "lead"))
        held = apply(sqlite, automate={"at_least": 0.5})
        assert in_force(sqlite, held).level == "frozen"

    def test_a_freeze_waits_for_the_batch_that_holds_the_rule_and_a_batch_for_the_freeze(
        self, database: Database, held: Setting, ann: Actor
    ) -> None:
        key = factories.keys(database).draw_key_id
        holding, finish, frozen = threading.Event(), threading.Event(), threading.Event()
        factories.submit(database, held, [factories.raw("1")])
        scored = [
            (i, factories.says("pay", 0.99)) for i in database.write(batches.lease, held.id, "score", "w", limit=1, seconds=60)
        ]
        model_id, keys = in_force(database, held).model_id, factories.keys(database)

        def route(session: Any) -> None:
            assert batches.write(session, held.id, "w", scored, model_id=model_id, keys=keys).auto == 1
            holding.set()
            assert finish.wait(20)

        def freeze() -> None:
            database.write(projects.freeze, "claims", key, by=ann)
            frozen.set()

        batch, stop = threading.Thread(target=database.write, args=(route,)), threading.Thread(target=freeze)
        batch.start()
        assert holding.wait(20)
        stop.start()
        assert not frozen.wait(0.4)
        finish.set()
        assert frozen.wait(20)
        [thread.join() for thread in (batch, stop)]
        assert in_force(database, held).level == "frozen"

    def test_two_batches_hold_the_rule_side_by_side(self, database: Database, held: Setting) -> None:
        if database.engine.dialect.name != "postgresql":
            pytest.skip("SQLite has one writer")
        both = threading.Barrier(2, timeout=20)

        def route(session: Any) -> None:
            rules.hold(session, held.id)
            both.wait()

        threads = [threading.Thread(target=database.write, args=(route,)) for _ in range(2)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert not both.broken

    def test_a_freeze_beside_a_new_policy_keeps_the_new_thresholds(self, database: Database, held: Setting, ann: Actor) -> None:
        key = factories.keys(database).draw_key_id
        applied, go = threading.Event(), threading.Event()

        def policy(session: Any) -> None:
            projects.apply(
                session, factories.project(), factories.policy(automate={"at_least": 0.5}), "Read the file.", key, by=None
            )
            applied.set()
            assert go.wait(20)

        first = threading.Thread(target=database.write, args=(policy,))
        second = threading.Thread(target=lambda: database.write(projects.freeze, "claims", key, by=ann))
        first.start()
        assert applied.wait(20)
        second.start()
        second.join(0.4)
        go.set()
        [thread.join() for thread in (first, second)]
        now = database.read(projects.get, "claims")
        assert in_force(database, now).thresholds == {"deny": 0.5, "pay": 0.5}
        assert in_force(database, now).level == "frozen"


@pytest.mark.parametrize("role", ["viewer", "reviewer"])
def test_freezing_is_for_leads_and_what_is_in_force_for_owners(sqlite: Database, role: str) -> None:
    held, low = factories.setting(sqlite), factories.person(sqlite, "low", role)
    key = factories.keys(sqlite).draw_key_id
    with pytest.raises(Forbidden, match="for leads and up"):
        sqlite.write(projects.freeze, "claims", key, by=low)
    for by in (low, factories.person(sqlite, "lea", "lead")):
        with pytest.raises(Forbidden, match="set by owners"):
            sqlite.write(projects.apply, held.project, factories.policy(), "", key, by=by)
        with pytest.raises(Forbidden, match="set by owners"):
            sqlite.write(projects.apply, factories.project(project="new"), factories.policy(), "", key, by=by)
    assert sqlite.read(projects.get, "claims") == held
