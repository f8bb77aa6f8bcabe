"""Webhooks as rows: who may, what is due, in which order, how often, and what is left when nothing helps."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text, update
from sqlalchemy.orm import Session

from db.engine import Database
from db.tables import Activity, Delivery, ItemKey, Webhook
from review_queue import clock, deliveries, events, webhooks
from review_queue.activity import Actor
from review_queue.deliveries import Answer, Load
from review_queue.errors import Forbidden, Invalid, NotFound
from review_queue.projects import Setting
from review_queue.webhooks import Hook
from tests import factories
from tests.review_queue.acting import Move, at_once

URL = "https://example.com/signoff"
Say = Callable[[int], Answer]


@pytest.fixture
def olga(database: Database) -> Actor:
    return factories.person(database, "olga", "owner")


@pytest.fixture
def hook(database: Database, held: Setting, olga: Actor) -> Hook:
    return database.write(webhooks.add, held.id, URL, keys=factories.keys(database), by=olga)


@pytest.fixture
def items(database: Database, held: Setting) -> list[int]:
    factories.submit(database, held, [factories.raw(str(n)) for n in range(4)])
    return database.read(lambda s: list(s.scalars(select(ItemKey.item_id).order_by(ItemKey.item_id))))


def happen(database: Database, held: Setting, *item_ids: int | None, kind: str = "outcome") -> None:
    for item_id in item_ids:
        database.write(events.announce, held.id, kind, {"external_id": str(item_id)}, item_id=item_id)
    while database.write(events.sequence):
        pass


def took(_: int) -> Answer:
    return Answer()


def refused(_: int) -> Answer:
    return Answer("500")


def turn(database: Database, hook: Hook, say: Say) -> list[int]:
    """One turn of one deliverer: what was posted, in the order that it stands in the load."""
    load = database.write(deliveries.take, hook.id, "w")
    if load is None:
        return []
    answers: dict[int, Answer] = {}
    failed: set[int | None] = set()
    for parcel in sorted(load.parcels, key=lambda each: each.event.seq):
        if len(answers) >= 8 and all(answer.error for answer in answers.values()):
            break  # as the worker gives up
        if parcel.item_id is None or parcel.item_id not in failed:
            answers[parcel.event.seq] = say(parcel.event.seq)
            failed |= {parcel.item_id} if answers[parcel.event.seq].error else set()
    assert database.write(deliveries.settle, load, answers)
    return list(answers)


def rows(database: Database) -> list[tuple[int, str, int]]:
    query = select(Delivery.seq, Delivery.state, Delivery.attempts).order_by(Delivery.seq)
    return database.read(lambda s: list(s.execute(query).tuples()))


def test_what_happens_after_adding_is_delivered_once(database: Database, held: Setting, olga: Actor, items: list[int]) -> None:
    happen(database, held, items[0])
    hook = database.write(webhooks.add, held.id, URL, keys=factories.keys(database), by=olga)
    assert database.read(deliveries.due) == []
    happen(database, held, *items, None)
    assert database.read(deliveries.due) == [hook.id]
    assert turn(database, hook, took) == [2, 3, 4, 5, 6]
    assert database.read(deliveries.due) == []
    assert rows(database) == []
    now = database.read(webhooks.get, held.id, hook.id)
    assert (now.position, now.waiting, now.dead, now.lag_events, now.lag_seconds) == (6, 0, 0, 0, 0.0)
    assert now.delivered_at is not None


def test_from_an_earlier_position_and_of_some_kinds_only(
    database: Database, held: Setting, olga: Actor, items: list[int]
) -> None:
    happen(database, held, items[0])
    happen(database, held, items[0], kind="revision")
    happen(database, held, items[1])
    keys = factories.keys(database)
    hook = database.write(webhooks.add, held.id, URL, keys=keys, kinds=["revision"], after=0, by=olga)
    assert hook.lag_events == 3
    assert turn(database, hook, took) == [2]
    assert database.read(webhooks.get, held.id, hook.id).position == 3


def test_an_event_waits_for_the_earlier_one_of_its_item_and_others_go_on(
    database: Database, held: Setting, hook: Hook, items: list[int], move: Move
) -> None:
    a, b, *_ = items
    happen(database, held, a, a, b, None)
    assert turn(database, hook, lambda seq: Answer("500") if seq == 1 else Answer()) == [1, 3, 4]
    assert rows(database) == [(1, "waiting", 1), (2, "blocked", 0)]
    happen(database, held, a, b)
    assert turn(database, hook, took) == [6]  # 5 is of item a
    assert rows(database) == [(1, "waiting", 1), (2, "blocked", 0), (5, "blocked", 0)]
    assert database.read(deliveries.due) == []
    move(timedelta(seconds=7))
    assert [turn(database, hook, took) for _ in range(4)] == [[1], [2], [5], []]
    assert rows(database) == []


@pytest.mark.slow
def test_tries_are_spread_over_more_than_a_day_and_then_it_is_dead(
    database: Database, held: Setting, hook: Hook, items: list[int], move: Move
) -> None:
    begun = clock.now()
    happen(database, held, items[0], items[0])
    tries = 0
    while not tries or rows(database)[0][1] != "dead":
        tries += len(turn(database, hook, refused))
        move(timedelta(minutes=1))
        assert tries <= deliveries.TRIES
    assert tries == deliveries.TRIES
    assert timedelta(hours=20) < clock.now() - begun < timedelta(hours=36)
    assert rows(database) == [(1, "dead", deliveries.TRIES), (2, "blocked", 0)]
    shown = database.read(webhooks.get, held.id, hook.id)
    assert (shown.dead, shown.waiting, shown.fails, shown.last_error) == (1, 1, True, "500")
    assert [each.id for each in database.read(webhooks.failing)] == [hook.id]
    (letter,) = database.read(webhooks.undelivered, held.id, hook.id, dead=True)
    assert (letter.seq, letter.external_id, letter.last_error) == (1, "0", "500")


def test_waits_grow_and_are_bounded() -> None:
    waits = [[deliveries.delay(n).total_seconds() for _ in range(50)] for n in range(1, deliveries.TRIES)]
    assert all(4 <= wait <= 6 for wait in waits[0])
    assert all(deliveries.LONGEST * 0.8 <= wait <= deliveries.LONGEST * 1.2 for wait in waits[-1])
    assert len(set(waits[0])) > 10
    assert 24 * 3600 < sum(deliveries.FIRST * deliveries.TIMES**n if n < 6 else deliveries.LONGEST for n in range(11)) < 30 * 3600


def kill(database: Database, hook: Hook, move: Move) -> None:
    """Let everything that waits die."""
    database.write(lambda s: s.execute(update(Delivery).where(Delivery.state == "waiting").values(attempts=11)) and None)
    move(timedelta(hours=8))
    turn(database, hook, refused)
    assert "dead" in {state for _, state, _ in rows(database)}


def test_a_dead_letter_is_sent_again_and_what_waited_behind_it_follows(
    database: Database, held: Setting, hook: Hook, items: list[int], olga: Actor, move: Move
) -> None:
    happen(database, held, items[0], items[0], items[0], items[1])
    turn(database, hook, refused)
    kill(database, hook, move)
    assert [state for _, state, _ in rows(database)] == ["dead", "blocked", "blocked", "dead"]
    assert database.write(webhooks.resend, held.id, hook.id, seq=1, by=olga) == 1
    assert [turn(database, hook, took) for _ in range(3)] == [[1], [2], [3]]
    assert database.write(webhooks.resend, held.id, hook.id, by=olga) == 1
    assert turn(database, hook, took) == [4]
    assert rows(database) == []
    with pytest.raises(NotFound, match="no dead letter 4"):
        database.write(webhooks.resend, held.id, hook.id, seq=4, by=olga)
    verbs = database.read(lambda s: list(s.scalars(select(Activity.verb).where(Activity.subject == f"webhook:{hook.id}"))))
    assert verbs == ["webhook.add", "webhook.resend", "webhook.resend"]


def test_a_dropped_letter_lets_its_item_go_on(
    database: Database, held: Setting, hook: Hook, items: list[int], olga: Actor, move: Move
) -> None:
    happen(database, held, items[0], items[0])
    turn(database, hook, refused)
    with pytest.raises(NotFound, match="no dead letter"):
        database.write(webhooks.drop, held.id, hook.id, 1, by=olga)  # it waits still
    kill(database, hook, move)
    database.write(webhooks.drop, held.id, hook.id, 1, by=olga)
    move(timedelta(minutes=2))
    assert turn(database, hook, took) == [2]
    assert rows(database) == []


def test_a_receiver_that_is_down_is_asked_little_and_gets_all_at_once_when_it_is_back(
    database: Database, held: Setting, hook: Hook, items: list[int], move: Move
) -> None:
    happen(database, held, *[None] * 300)
    asked = 0
    for _ in range(60):
        asked += len(turn(database, hook, refused))
        move(timedelta(seconds=60))
    assert asked < 60 * 8
    kept = len(rows(database))
    shown = database.read(webhooks.get, held.id, hook.id)
    assert shown.lag_events == 300 - kept > 50
    assert shown.lag_seconds > 3000
    got: list[int] = []
    move(timedelta(seconds=80))
    while more := turn(database, hook, took):
        got += more
    assert sorted(got) == list(range(1, 301))  # though their next tries were hours away
    assert database.read(webhooks.get, held.id, hook.id).failing_since is None


def test_a_turn_without_success_rests_the_webhook(
    database: Database, held: Setting, hook: Hook, items: list[int], move: Move
) -> None:
    happen(database, held, items[0])
    assert turn(database, hook, refused) == [1]
    happen(database, held, items[1])
    assert turn(database, hook, took) == []
    move(timedelta(seconds=7))
    assert sorted(turn(database, hook, took)) == [1, 2]


def test_a_receiver_that_asks_to_wait_is_left_alone_for_so_long(
    database: Database, held: Setting, hook: Hook, items: list[int], move: Move
) -> None:
    happen(database, held, items[0], items[1])
    turn(database, hook, lambda seq: Answer("429", wait=900.0) if seq == 1 else Answer())
    move(timedelta(seconds=890))
    assert turn(database, hook, took) == []
    move(timedelta(seconds=20))
    assert turn(database, hook, took) == [1]


def test_gone_ends_it(database: Database, held: Setting, hook: Hook, items: list[int], olga: Actor, move: Move) -> None:
    happen(database, held, items[0])
    turn(database, hook, lambda _: Answer("410", gone=True))
    move(timedelta(hours=1))
    assert database.read(deliveries.due) == []
    (shown,) = database.read(webhooks.every, held.id)
    assert shown.ended_at is not None
    with pytest.raises(Invalid, match="add it anew"):
        database.write(webhooks.resend, held.id, hook.id, by=olga)
    database.write(webhooks.add, held.id, URL, keys=factories.keys(database), by=olga)
    database.write(webhooks.remove, held.id, hook.id, by=olga)
    assert [each.id for each in database.read(webhooks.every, held.id)] == [hook.id + 1]
    assert rows(database) == []


def test_one_deliverer_at_a_time_and_a_late_one_writes_nothing(
    database: Database, held: Setting, hook: Hook, items: list[int], move: Move
) -> None:
    happen(database, held, *items)
    got: list[Load | None] = []
    acts = [lambda n=n: got.append(database.write(deliveries.take, hook.id, f"w{n}")) for n in range(6)]
    assert at_once(acts) == []
    (late,) = [load for load in got if load is not None]
    assert database.read(deliveries.due) == []
    move(deliveries.LEASE + timedelta(seconds=1))
    again = database.write(deliveries.take, hook.id, "later")
    assert again is not None
    assert [p.event.seq for p in again.parcels] == [1, 2, 3, 4]  # at least once
    assert not database.write(deliveries.settle, late, dict.fromkeys(range(1, 5), Answer()))
    assert database.write(deliveries.settle, again, dict.fromkeys(range(1, 5), Answer()))
    assert database.read(webhooks.get, held.id, hook.id).position == 4


def test_what_was_not_tried_any_more_is_not_lost(database: Database, held: Setting, hook: Hook, items: list[int]) -> None:
    happen(database, held, items[0], items[1], items[1], None, items[2])
    load = database.write(deliveries.take, hook.id, "w")
    assert load is not None
    assert database.write(deliveries.settle, load, {1: Answer(), 4: Answer()})  # 2, 3 and 5 were not begun
    assert rows(database) == [(2, "waiting", 0), (3, "blocked", 0)]
    assert database.read(webhooks.get, held.id, hook.id).position == 4
    assert turn(database, hook, took) == [2, 5]
    assert turn(database, hook, took) == [3]


def test_a_removed_webhook_in_the_hands_of_a_deliverer_gets_no_rows(
    database: Database, held: Setting, hook: Hook, items: list[int], olga: Actor
) -> None:
    happen(database, held, items[0])
    load = database.write(deliveries.take, hook.id, "w")
    assert load is not None
    database.write(webhooks.remove, held.id, hook.id, by=olga)
    assert not database.write(deliveries.settle, load, {1: Answer("500")})
    assert rows(database) == []
    with pytest.raises(NotFound):
        database.read(webhooks.get, held.id, hook.id)


def test_who_may_and_what_is_refused(database: Database, held: Setting, hook: Hook, olga: Actor, ann: Actor) -> None:
    keys = factories.keys(database)
    for act in (
        lambda s: webhooks.add(s, held.id, URL + "2", keys=keys, by=ann),
        lambda s: webhooks.secret(s, held.id, hook.id, keys=keys, by=ann),
        lambda s: webhooks.remove(s, held.id, hook.id, by=ann),
        lambda s: webhooks.resend(s, held.id, hook.id, by=ann),
        lambda s: webhooks.drop(s, held.id, hook.id, 1, by=ann),
    ):
        with pytest.raises(Forbidden, match="owners"):
            database.write(act)
    with pytest.raises(Invalid, match="already"):
        database.write(webhooks.add, held.id, URL, keys=keys, by=olga)
    with pytest.raises(Invalid, match="'outcomes' is no kind of event"):
        database.write(webhooks.add, held.id, URL + "2", keys=keys, kinds=["outcomes"], by=olga)
    for after in (-1, 1):
        with pytest.raises(Invalid, match="the sequence is at 0"):
            database.write(webhooks.add, held.id, URL + "2", keys=keys, after=after, by=olga)
    for n in range(webhooks.MOST - 1):
        database.write(webhooks.add, held.id, f"{URL}/{n}", keys=keys, by=olga)
    with pytest.raises(Invalid, match="no more are taken"):
        database.write(webhooks.add, held.id, URL + "/more", keys=keys, by=olga)
    for project_id, webhook_id in ((held.id + 1, hook.id), (held.id, 999)):
        with pytest.raises(NotFound):
            database.read(webhooks.undelivered, project_id, webhook_id)


def test_the_secret_is_shown_to_owners_and_that_is_recorded(database: Database, held: Setting, hook: Hook, olga: Actor) -> None:
    keys = factories.keys(database)
    told = database.write(webhooks.secret, held.id, hook.id, keys=keys, by=olga)
    assert told == keys.webhook_secret(hook.id, hook.key_id)
    acts = database.read(lambda s: list(s.scalars(select(Activity).where(Activity.verb == "webhook.secret"))))
    assert len(acts) == 1
    assert told not in str(vars(acts[0]))
    stored = str(database.read(lambda s: [vars(row) for row in s.scalars(select(Webhook))]))
    assert told not in stored


def plan(database: Database, verb: Callable[[Session], object]) -> str:
    """How the database would go about the statements of a verb, were the tables large."""
    postgres, said = database.engine.dialect.name == "postgresql", list[str]()

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE")):
            cursor.execute(("EXPLAIN " if postgres else "EXPLAIN QUERY PLAN ") + statement, parameters)
            said.extend(str(row[0] if postgres else row[3]) for row in cursor.fetchall())

    def asked(session: Session) -> None:
        if postgres:
            session.execute(text("SET LOCAL enable_seqscan = off"))
            session.execute(text("SET LOCAL enable_bitmapscan = off"))
        event.listen(database.engine, "before_cursor_execute", explain)
        try:
            verb(session)
        finally:
            event.remove(database.engine, "before_cursor_execute", explain)

    database.write(asked)
    return "\n".join(said)


def test_statements_use_their_indexes(database: Database, held: Setting, hook: Hook, items: list[int]) -> None:
    happen(database, held, items[0])
    load = Load(hook.id, "w", URL, hook.key_id, 0, 1, [], {1: items[0]})
    database.write(deliveries.take, hook.id, "w")
    found = plan(database, lambda s: [deliveries.due(s), deliveries._again(s, hook.id, clock.now())])
    assert "delivery_due" in found
    assert "event_feed" in found
    assert "delivery_item" in plan(database, lambda s: deliveries._release_next(s, load, clock.now()))


def test_what_is_recorded_holds_no_path(database: Database, held: Setting, olga: Actor, ann: Actor) -> None:
    url, keys = "https://chat.example/hooks/T1/secret", factories.keys(database)
    hook = database.write(webhooks.add, held.id, url, keys=keys, by=olga)
    assert [hook.as_seen_by(who).url for who in (olga, ann)] == [url, "https://chat.example/…"]
    database.write(webhooks.remove, held.id, hook.id, by=olga)
    told = database.read(lambda s: s.execute(select(Activity.before, Activity.after).order_by(Activity.id)).all())
    kept = [body["url"] for row in told for body in row if body and "url" in body]
    assert kept == ["https://chat.example/…"] * 2
