"""The sequence: no gaps, in order per item, whoever writes and whoever sequences."""

import re
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.event import listen, remove
from sqlalchemy.orm import Session

from db.engine import Database
from db.tables import Event, EventHead, Item, ItemKey, Outbox
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
    assert [database.write(events.sequence) for _ in range(3)] == [1, 1, 0]
    assert [(e.seq, e.body["n"]) for e in database.read(events.after, held.id, 2)] == [(3, 1), (4, 2)]
    assert database.read(events.after, held.id + 1, 0) == []
    assert [e.seq for e in database.read(events.after, held.id, 1, limit=2)] == [2, 3]


def test_withdrawing_takes_back_only_what_has_not_left(database: Database, held: Setting, items: list[int]) -> None:
    for decision in (1, 2, 3):
        database.write(events.announce, held.id, "outcome", {"decision": str(decision)}, item_id=items[0])
    database.write(events.announce, held.id, "outcome", {"decision": "1"}, item_id=items[1])
    assert database.write(events.withdraw, items[0], [1, 9]) == set()  # what came later was said on top of it
    assert database.write(events.withdraw, items[0], [2, 3, 9]) == {2, 3}
    assert database.write(events.withdraw, items[0], [3]) == set()
    assert database.write(events.sequence) == 2
    assert database.write(events.withdraw, items[0], [1]) == set()
    assert [e.body["decision"] for e in database.read(events.of_item, items[0])] == ["1"]


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


def plans(database: Database, verb: Callable[[Session], object]) -> str:
    """How the database goes about every statement of a verb on the outbox."""
    held: list[tuple[str, Any]] = []
    postgres = database.engine.dialect.name == "postgresql"

    def keep(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        held.append((statement, parameters))

    listen(database.engine, "before_cursor_execute", keep)
    database.write(verb)
    remove(database.engine, "before_cursor_execute", keep)
    asked = [("EXPLAIN " if postgres else "EXPLAIN QUERY PLAN ") + s for s, _ in held if "outbox" in s]
    values = [parameters for s, parameters in held if "outbox" in s]
    with database.engine.connect() as connection:
        rows = [row for s, v in zip(asked, values, strict=True) for row in connection.exec_driver_sql(s, v)]
    return "\n".join(str(row[-1] if not postgres else row[0]) for row in rows)


def fill(database: Database, held: Setting, items: list[int], count: int) -> None:
    at = clock.now() - timedelta(minutes=1)
    row = {"project_id": held.id, "kind": "outcome", "body": {"external_id": "a"}, "made_at": at}
    later = at + timedelta(hours=1)
    rows = [{**row, "item_id": items[n % len(items)], "ready_at": at if n < count // 2 else later} for n in range(count)]
    database.write(lambda s: s.execute(insert(Outbox), rows) and None)


@pytest.mark.parametrize("analysed", [False, True])
def test_a_large_outbox_is_never_read_whole(database: Database, held: Setting, items: list[int], analysed: bool) -> None:
    fill(database, held, items, 20_000)
    if analysed:
        with database.engine.connect().execution_options(signoff_write=True) as connection, connection.begin():
            connection.execute(text("ANALYZE"))
    for verb in (events.is_ready, events.sequence):
        plan = plans(database, verb)
        assert "outbox_ready" in plan
        assert re.search(r"Seq Scan on outbox|SCAN (outbox|outbox_\d+)(?! USING)", plan) is None, plan


@pytest.mark.benchmark
def test_a_sequencer_keeps_up_with_five_thousand_events_a_second(database: Database, held: Setting) -> None:
    factories.submit(database, held, [factories.raw(str(n)) for n in range(5_000)])
    fill(database, held, database.read(lambda s: list(s.scalars(select(ItemKey.item_id)))), 40_000)
    begun = time.perf_counter()
    while database.write(events.sequence):
        pass
    assert database.read(events.head) == 20_000
    rate = 20_000 / (time.perf_counter() - begun)
    print(f"{database.engine.dialect.name}: {rate:,.0f} events a second")
    assert rate > 5_000


def test_a_poll_with_nothing_new_writes_nothing(database: Database, held: Setting, items: list[int]) -> None:
    assert not database.read(events.is_ready)
    database.write(events.announce, held.id, "outcome", {}, item_id=items[0], ready_at=clock.now() + timedelta(seconds=60))
    assert not database.read(events.is_ready)
    database.write(events.announce, held.id, "outcome", {}, item_id=items[1])
    assert database.read(events.is_ready)
    database.write(events.sequence)
    assert not database.read(events.is_ready)


def test_a_number_beyond_32_bits(database: Database, held: Setting, items: list[int]) -> None:
    database.write(lambda s: s.execute(update(EventHead).values(seq=2**40)) and None)
    for item in items[:2]:
        database.write(events.announce, held.id, "outcome", {}, item_id=item)
    assert database.write(events.sequence) == 2
    assert [e.seq for e in database.read(events.after, held.id, 2**40)] == [2**40 + 1, 2**40 + 2]


def test_a_younger_event_that_is_ready_sooner_still_goes_after_its_elder(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = factories.setting(sqlite)
    factories.submit(sqlite, held, [factories.raw("a")])
    item = sqlite.read(lambda s: s.scalars(select(ItemKey.item_id)).one())
    monkeypatch.setattr(events, "BATCH", 1)
    for n, seconds in enumerate((5, 9, 7)):
        at = clock.now() - timedelta(seconds=seconds)
        sqlite.write(events.announce, held.id, "outcome", {"n": n}, item_id=item, ready_at=at)
    while sqlite.write(events.sequence):
        pass
    assert [e.body["n"] for e in sqlite.read(events.of_item, item)] == [0, 1, 2]


@pytest.mark.parametrize("batch", [1, 2, 3, 1000])
@pytest.mark.parametrize("late", [0, 310])
def test_what_waits_for_an_elder_that_waits_itself_holds_what_comes_after_it(
    database: Database, held: Setting, items: list[int], monkeypatch: pytest.MonkeyPatch, move: Move, batch: int, late: int
) -> None:
    monkeypatch.setattr(events, "BATCH", batch)
    begun = clock.now()
    for n, seconds in enumerate((300, 295, 302, 290, 600)):
        at = begun + timedelta(seconds=seconds)
        database.write(events.announce, held.id, "outcome", {"n": n}, item_id=items[0], ready_at=at)
    move(timedelta(seconds=late))
    for _ in range(20):
        database.write(events.sequence)
    assert [e.body["n"] for e in database.read(events.of_item, items[0])] == list(range(4 if late else 0))
    move(timedelta(seconds=600))
    while database.write(events.sequence):
        pass
    assert [e.body["n"] for e in database.read(events.of_item, items[0])] == list(range(5))


def test_kinds_are_those_that_the_code_announces_and_the_page_of_the_api_lists() -> None:
    root = Path(__file__).parents[2]
    code = "".join(
        path.read_text(encoding="utf-8") for name in ("review_queue", "retrain") for path in (root / name).glob("*.py")
    )
    said = set(re.findall(r'announce\([^"()]*(?:\([^()]*\)[^"()]*)*"([a-z.]+)"', code))
    assert {"dataset.created", "model.promoted"} <= said <= set(events.KINDS)
    page = (root / "docs/http-api.md").read_text(encoding="utf-8")
    table = page.partition("## Following")[2].partition("##")[0]
    assert [kind for kind in events.KINDS if f"`{kind}`" not in table] == []
