"""The sequence: no gaps, in order per item, whoever writes and whoever sequences."""

import time
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.engine import Database
from db.tables import Event, Item, ItemKey, Outbox
from review_queue import clock, events
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Move, at_once


@pytest.fixture
def items(database: Database, held: Setting) -> list[int]:
    factories.submit(database, held, [factories.raw(str(n)) for n in range(8)])
    return database.read(lambda s: list(s.scalars(select(ItemKey.item_id).order_by(ItemKey.item_id))))


def announce_many(database: Database, held: Setting, item_id: int, writer: int) -> None:
    """Twelve events of one item, each in a transaction of some milliseconds."""
    chance = Random(writer)

    def say(session: Session, n: int) -> None:
        session.execute(select(Item.id).where(Item.id == item_id).with_for_update())
        events.announce(session, held.id, "outcome", {"writer": writer, "n": n}, item_id=item_id)
        if database.engine.dialect.name == "postgresql":
            time.sleep(chance.random() * 0.01)

    for n in range(12):
        database.write(say, n)


def test_concurrent_writers_and_sequencers_leave_no_gap_and_lose_nothing(
    database: Database, held: Setting, items: list[int]
) -> None:
    done: list[int] = []
    seen: list[int] = []

    def write(writer: int) -> None:
        try:
            announce_many(database, held, items[writer], writer)
        finally:
            done.append(writer)

    def move_on() -> None:
        while len(done) < 8:
            database.write(events.sequence)

    def follow() -> None:
        seen.extend(e.seq for e in database.read(events.after, held.id, seen[-1] if seen else 0))

    def follow_on() -> None:
        while len(done) < 8:
            follow()

    assert at_once([*(lambda w=w: write(w) for w in range(8)), move_on, move_on, follow_on]) == []
    while database.write(events.sequence):
        pass
    follow()
    assert seen == list(range(1, 97))
    assert database.read(events.head) == 96
    for item in items:
        assert [e.body["n"] for e in database.read(events.of_item, item)] == list(range(12))
    assert database.read(lambda s: s.scalars(select(Outbox)).all()) == []


def test_what_is_held_holds_what_comes_after_it_of_the_same_item_alone(
    database: Database, held: Setting, items: list[int], move: Move
) -> None:
    soon = clock.now() + timedelta(seconds=15)
    database.write(events.announce, held.id, "outcome", {"n": 1}, item_id=items[0], ready_at=soon)
    database.write(events.announce, held.id, "revision", {"n": 2}, item_id=items[0])
    database.write(events.announce, held.id, "outcome", {"n": 3}, item_id=items[1])
    database.write(events.announce, held.id, "frozen", {"n": 4}, item_id=None)
    assert database.write(events.sequence) == 2
    assert [e.body["n"] for e in database.read(events.after, held.id, 0)] == [3, 4]
    move(timedelta(seconds=16))
    assert database.write(events.sequence) == 2
    assert [(e.seq, e.body["n"]) for e in database.read(events.after, held.id, 2)] == [(3, 1), (4, 2)]
    assert database.read(events.after, held.id + 1, 0) == []
    assert [e.seq for e in database.read(events.after, held.id, 1, limit=2)] == [2, 3]


def test_withdrawing_takes_back_only_what_has_not_left(database: Database, held: Setting, items: list[int]) -> None:
    for decision in (1, 2, 3):
        database.write(events.announce, held.id, "outcome", {"decision": str(decision)}, item_id=items[0])
    database.write(events.announce, held.id, "outcome", {"decision": "1"}, item_id=items[1])
    assert database.write(events.withdraw, items[0], [1, 3, 9]) == {1, 3}
    assert database.write(events.withdraw, items[0], [1]) == set()
    assert database.write(events.sequence) == 2
    assert database.write(events.withdraw, items[0], [2]) == set()
    assert [e.body["decision"] for e in database.read(events.of_item, items[0])] == ["2"]


def test_more_than_one_batch_keeps_its_order(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    held = factories.setting(sqlite)
    monkeypatch.setattr(events, "BATCH", 3)
    for n in range(7):
        sqlite.write(events.announce, held.id, "outcome", {"n": n}, item_id=None)
    assert [sqlite.write(events.sequence) for _ in range(4)] == [3, 3, 1, 0]
    assert [e.body["n"] for e in sqlite.read(events.after, held.id, 0, limit=99)] == list(range(7))


def test_a_crash_before_the_commit_takes_no_number(sqlite: Database) -> None:
    held = factories.setting(sqlite)
    sqlite.write(events.announce, held.id, "outcome", {}, item_id=None)

    def crash(session: Session) -> None:
        assert events.sequence(session) == 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sqlite.write(crash)
    assert (sqlite.read(events.head), sqlite.write(events.sequence), sqlite.read(events.head)) == (0, 1, 1)


def test_a_sequence_number_is_never_given_again(sqlite: Database) -> None:
    held = factories.setting(sqlite)
    sqlite.write(events.announce, held.id, "outcome", {}, item_id=None)
    sqlite.write(events.sequence)
    sqlite.write(lambda s: s.execute(delete(Event)) and None)
    sqlite.write(events.announce, held.id, "outcome", {}, item_id=None)
    sqlite.write(events.sequence)
    assert [e.seq for e in sqlite.read(events.after, held.id, 0)] == [2]
