"""Leases of people: one task each, lowest rank first, handed out once."""

from datetime import timedelta
from random import Random
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import event, select, text, update
from sqlalchemy.orm import Session

from db.engine import Database
from db.tables import Activity, Claim, Task
from review_queue import batches, claims, decisions, events
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import Forbidden, NotFound
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Move, at_once, take

LEASE = timedelta(minutes=10)


def fill(database: Database, held: Setting, n: int) -> None:
    chance = Random(3)
    factories.routed(database, held, {str(i): factories.says("pay", 0.5 + 0.39 * chance.random()) for i in range(n)})


def test_the_most_urgent_comes_first(database: Database, held: Setting, ann: Actor) -> None:
    fill(database, held, 12)
    ranks = {task.id: task.rank for task in factories.tasks(database)}
    got = [case.task_id for case in take(database, held, ann, 5)]
    assert [ranks[each] for each in got] == sorted(ranks.values())[:5]


def test_fifty_threads_get_twenty_tasks_each_once(database: Database, held: Setting) -> None:
    fill(database, held, 20)
    people = [factories.person(database, f"p{n}") for n in range(50)]
    got: list[int] = []
    act = lambda actor: got.extend(c.task_id for c in database.write(claims.claim, held.id, actor, "s", 1, LEASE))  # noqa: E731
    assert at_once([lambda a=a: act(a) for a in people]) == []
    assert sorted(got) == sorted(task.id for task in factories.tasks(database, state="in_progress"))
    assert len(got) == len(set(got)) == 20


def test_one_person_in_many_threads_gets_no_two_seats_of_an_item(database: Database, ann: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(review={"reviewers": 3}))
    fill(database, held, 4)
    acts = [lambda n=n: database.write(claims.claim, held.id, ann, f"s{n}", 4, LEASE) for n in range(6)]
    assert at_once(acts) == []
    rows = database.read(lambda s: s.execute(select(Claim.item_id, Claim.state)).all())
    assert sorted(row.state for row in rows) == ["held"] * 4
    assert len({row.item_id for row in rows}) == 4


def test_a_session_is_topped_up_and_keeps_what_it_holds(database: Database, held: Setting, ann: Actor, move: Move) -> None:
    fill(database, held, 14)
    first = database.write(claims.claim, held.id, ann, "s", 2, LEASE)
    move(timedelta(minutes=5))
    more = database.write(claims.claim, held.id, ann, "s", 3, LEASE)
    assert [c.token for c in more[:2]] == [c.token for c in first]
    assert more[0].expires_at > first[0].expires_at
    assert len(database.write(claims.claim, held.id, ann, "s", 1, LEASE)) == 3
    assert len(database.write(claims.claim, held.id, ann, "other", 99, LEASE)) == claims.MOST
    assert len(database.write(claims.claim, held.id, ann, "third", 99, LEASE)) == 1


def test_heartbeats_renew_what_is_held_and_name_what_is_lost(
    database: Database, held: Setting, ann: Actor, bob: Actor, move: Move
) -> None:
    fill(database, held, 2)
    one, two = (case.token for case in take(database, held, ann, 2))
    assert database.write(claims.heartbeat, bob, [one], LEASE) == [one]
    move(timedelta(minutes=9))
    assert database.write(claims.heartbeat, ann, [one, "never"], LEASE) == ["never"]
    move(timedelta(minutes=9))
    assert database.write(claims.expire) == 1
    assert database.write(claims.heartbeat, ann, [one, two], LEASE) == [two]
    assert database.write(claims.heartbeat, ann, [], LEASE) == []


def test_what_is_released_may_be_taken_again(database: Database, held: Setting, ann: Actor, bob: Actor) -> None:
    fill(database, held, 1)
    case = take(database, held, ann)[0]
    assert database.write(claims.release, bob, [case.token]) == 0
    assert database.write(claims.release, ann, [case.token]) == 1
    assert database.write(claims.release, ann, [case.token]) == 0
    assert take(database, held, ann)[0].task_id == case.task_id


def test_a_lead_takes_a_case_away_and_it_is_written_down(database: Database, held: Setting, ann: Actor, bob: Actor) -> None:
    lead = factories.person(database, "lea", "lead")
    fill(database, held, 1)
    case = take(database, held, ann)[0]
    assert [h.person for h in database.read(claims.holders, held.id)] == ["ann"]
    with pytest.raises(Forbidden):
        database.write(claims.release_of, case.task_id, by=bob)
    database.write(claims.release_of, case.task_id, by=lead)
    with pytest.raises(NotFound):
        database.write(claims.release_of, case.task_id, by=lead)
    assert database.read(claims.holders, held.id) == []
    assert database.read(lambda s: list(s.scalars(select(Activity.verb).where(Activity.actor_id == lead.id)))) == ["task.release"]


def test_escalated_cases_go_to_leads_first_and_to_leads_alone(database: Database, held: Setting, ann: Actor, bob: Actor) -> None:
    fill(database, held, 2)
    case = take(database, held, ann, 2)[1]  # the less urgent one
    database.write(decisions.decide, ann, case.task_id, case.token, Said("e", "escalate"))
    assert take(database, held, bob) == []
    lead = factories.person(database, "lea", "lead")
    database.write(claims.release, ann, [c.token for c in take(database, held, ann)])
    assert take(database, held, lead)[0].task_id == case.task_id


def test_assigned_cases_go_to_the_assignee_alone(database: Database, held: Setting, ann: Actor, bob: Actor) -> None:
    fill(database, held, 1)
    database.write(lambda s: s.execute(update(Task).values(assignee_id=bob.id)) and None)
    assert take(database, held, ann) == []
    assert len(take(database, held, bob)) == 1


def test_the_end_of_many_leases_at_once_frees_each_task_once(database: Database, held: Setting, ann: Actor, move: Move) -> None:
    fill(database, held, 10)
    take(database, held, ann, 10)
    move(timedelta(minutes=11))
    ended: list[int] = []
    assert at_once([lambda: ended.append(database.write(claims.expire)) for _ in range(4)]) == []
    assert sum(ended) == 10
    assert {task.state for task in factories.tasks(database)} == {"pending"}


def test_deciding_beside_an_expiring_lease_ends_one_way(database: Database, held: Setting, ann: Actor, move: Move) -> None:
    fill(database, held, 6)
    cases_ = take(database, held, ann, 6)
    move(timedelta(minutes=11))
    acts: list[Any] = [lambda: database.write(claims.expire) for _ in range(3)]
    acts += [
        lambda c=c: database.write(decisions.decide, ann, c.task_id, c.token, Said(f"k{c.task_id}", "accept")) for c in cases_
    ]
    assert at_once(acts) == []
    assert {task.state for task in factories.tasks(database)} == {"completed"}
    states = database.read(lambda s: list(s.scalars(select(Claim.state))))
    assert states == ["answered"] * 6


def test_a_lease_that_ran_out_and_is_in_other_hands_holds_nobody_up(
    database: Database, held: Setting, ann: Actor, bob: Actor, move: Move
) -> None:
    if database.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer")
    fill(database, held, 2)
    token = take(database, held, ann)[0].token
    move(timedelta(minutes=11))
    got: list[claims.Held] = []
    claimer = Thread(target=lambda: got.extend(database.write(claims.claim, held.id, bob, "s", 1, LEASE)), daemon=True)

    def renew_slowly(session: Session) -> bool:
        claims.heartbeat(session, ann, [token], LEASE)
        claimer.start()
        claimer.join(timeout=10)
        return claimer.is_alive()

    assert not database.write(renew_slowly)
    assert len(got) == 1


class TestPlans:
    """The hot statements use their indexes on both databases."""

    @pytest.fixture
    def held(self, database: Database) -> Setting:
        held = factories.setting(database)
        fill(database, held, 300)
        factories.submit(database, held, [factories.raw(f"w{n}") for n in range(300)])
        return held

    def plan(self, database: Database, run: Any) -> str:
        """The plans of every statement that `run(session)` sends."""
        postgres = database.engine.dialect.name == "postgresql"
        plans: list[str] = []

        def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            if statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
                cursor.execute(("EXPLAIN " if postgres else "EXPLAIN QUERY PLAN ") + statement, parameters)
                plans.append("\n".join(str(row[0] if postgres else row[3]) for row in cursor.fetchall()))

        def verb(session: Session) -> None:
            if postgres:
                session.execute(text("SET LOCAL enable_seqscan = off"))  # small tables: ask whether the index can serve
                session.execute(text("SET LOCAL enable_bitmapscan = off"))
            event.listen(database.engine, "before_cursor_execute", explain)
            try:
                run(session)
            finally:
                event.remove(database.engine, "before_cursor_execute", explain)

        database.write(verb)
        return "\n".join(plans)

    def test_claim(self, database: Database, held: Setting) -> None:
        ann = factories.person(database, "ann")
        plan = self.plan(database, lambda s: claims.claim(s, held.id, ann, "s", 1, LEASE))
        assert "task_next" in plan
        assert "claim_item_person" in plan
        assert "claim_expiry" in plan
        assert "SCAN claim" not in plan
        assert "TEMP B-TREE" not in plan.upper()  # the order comes from the index

    def test_lease(self, database: Database, held: Setting) -> None:
        plan = self.plan(database, lambda s: batches.lease(s, held.id, "score", "w", limit=50, seconds=60))
        assert "work_ready" in plan

    def test_event_feed(self, database: Database, held: Setting) -> None:
        plan = self.plan(database, lambda s: events.after(s, held.id, 5))
        assert "event_feed" in plan or "event_pkey" in plan
        assert "Sort" not in plan
        assert "TEMP B-TREE" not in plan.upper()
