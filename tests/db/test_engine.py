"""The one way to write: whole or not at all, again where it was busy; and reads of one view."""

import sqlite3
import threading
import time
from typing import Any

import pytest
from sqlalchemy import insert, make_url, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from db import engine
from db.engine import Database, Limits
from db.tables import EventHead, Person
from db.types import EPOCH


def add(session: Session, name: str) -> None:
    session.execute(insert(Person).values(name=name, role="reviewer", made_at=EPOCH))


def names(database: Database) -> list[str]:
    return database.read(lambda s: list(s.scalars(select(Person.name).order_by(Person.id))))


def test_a_write_is_whole_or_nothing(database: Database) -> None:
    def fail(session: Session) -> None:
        add(session, "ann")
        raise KeyError("no")

    with pytest.raises(KeyError):
        database.write(fail)
    with pytest.raises(IntegrityError):
        database.write(lambda s: [add(s, "bob"), add(s, "bob")])
    assert names(database) == []
    database.write(add, "cat")
    assert names(database) == ["cat"]


def test_a_read_keeps_nothing(database: Database) -> None:
    database.read(add, "ann")
    assert names(database) == []


def test_a_read_sees_one_moment(database: Database) -> None:
    def twice(session: Session) -> tuple[int, int]:
        first = len(session.scalars(select(Person.name)).all())
        thread = threading.Thread(target=database.write, args=(add, "ann"))
        thread.start()
        thread.join()
        return first, len(session.scalars(select(Person.name)).all())

    assert database.read(twice) == (0, 0)
    assert names(database) == ["ann"]


def test_writes_from_many_threads_lose_nothing(database: Database) -> None:
    def count(session: Session) -> None:
        row = session.scalars(select(EventHead).with_for_update()).one()
        row.seq += 1

    threads = [threading.Thread(target=lambda: [database.write(count) for _ in range(10)]) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert database.read(lambda s: s.scalar(select(EventHead.seq))) == 80


def test_two_processes_on_one_file_wait_for_one_another(sqlite: Database) -> None:
    other = Database(sqlite.url)
    begun = threading.Event()

    def slowly(session: Session) -> None:
        add(session, "slow")
        begun.set()
        time.sleep(0.3)

    thread = threading.Thread(target=sqlite.write, args=(slowly,))
    thread.start()
    assert begun.wait(10)
    other.write(add, "quick")
    thread.join()
    assert names(other) == ["slow", "quick"]
    other.close()


def _busy() -> OperationalError:
    return OperationalError("x", {}, sqlite3.OperationalError("database is locked"))


def test_what_was_busy_is_done_again(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    tried: list[int] = []

    def third_time(session: Session) -> str:
        tried.append(1)
        add(session, f"try {len(tried)}")
        if len(tried) < 3:
            raise _busy()
        return "done"

    assert sqlite.write(third_time) == "done"
    assert names(sqlite) == ["try 3"]


def test_what_stays_busy_is_told_and_what_is_wrong_is_not_repeated(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    tried: list[int] = []

    def always(error: Exception) -> Any:
        def verb(_: Session) -> None:
            tried.append(1)
            raise error

        return verb

    with pytest.raises(OperationalError):
        sqlite.write(always(_busy()))
    assert len(tried) == engine.ATTEMPTS
    with pytest.raises(OperationalError):
        sqlite.write(always(OperationalError("x", {}, sqlite3.OperationalError("disk is full"))))
    assert len(tried) == engine.ATTEMPTS + 1


def test_a_deadlock_is_done_again(database: Database) -> None:
    if database.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer, who waits for nobody")
    for name in ("a", "b"):
        database.write(add, name)
    meet = threading.Barrier(2)
    tried: list[str] = []

    def cross(session: Session, first: str, second: str) -> None:
        tried.append(first)
        session.scalars(select(Person).where(Person.name == first).with_for_update()).one()
        if len(tried) <= 2:
            meet.wait(20)
        session.scalars(select(Person).where(Person.name == second).with_for_update()).one().role = "lead"

    threads = [threading.Thread(target=database.write, args=(cross, *pair)) for pair in (("a", "b"), ("b", "a"))]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(tried) >= 3  # the one that was ended came again, and may have met the other once more
    assert database.read(lambda s: list(s.scalars(select(Person.role)))) == ["lead", "lead"]


def test_sqlite_is_set_up_to_lose_nothing(sqlite: Database) -> None:
    found = sqlite.read(
        lambda s: [s.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")]
    )
    assert found == ["wal", 2, 1, engine.SQLITE_BUSY_MS]


def test_a_process_takes_no_more_of_a_server_than_it_may(postgres_server: str) -> None:
    held = Database(_own(postgres_server), Limits(connections=2, statement_seconds=0.2, lock_seconds=0.1))
    with pytest.raises(OperationalError, match="statement timeout"):
        held.read(lambda s: s.execute(text("SELECT pg_sleep(5)")))
    assert held.read(lambda s: s.scalar(text("SHOW lock_timeout"))) == "100ms"
    seen: list[int] = []

    def count(session: Session) -> None:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'limits'"
        seen.append(session.scalar(text(query)) or 0)

    threads = [threading.Thread(target=held.read, args=(count,)) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert (len(seen), max(seen)) == (8, 2)
    held.close()


def test_a_connection_that_was_lost_before_the_commit_is_made_anew(database: Database) -> None:
    if database.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no server to lose")
    tried: list[int] = []

    def cut(session: Session) -> None:
        tried.append(1)
        add(session, "ann")
        if len(tried) == 1:
            pid = session.scalar(text("SELECT pg_backend_pid()"))
            database.read(lambda s: s.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid}))
        add(session, "bob")

    database.write(cut)
    assert (len(tried), names(database)) == (2, ["ann", "bob"])


def test_a_connection_that_died_at_rest_is_not_handed_out(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    if database.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no server to lose")
    monkeypatch.setattr(engine, "RESTED", 0.0)
    other = Database(database.url)
    pid = other.read(lambda s: s.scalar(text("SELECT pg_backend_pid()")))
    database.read(lambda s: s.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid}))
    assert other.read(lambda s: s.scalar(text("SELECT 7"))) == 7
    other.close()


def test_a_look_is_taken_again_where_its_connection_was_lost(database: Database) -> None:
    if database.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no server to lose")
    other, tried = Database(database.url), list[int]()

    def look(session: Session, most: int) -> int:
        pid = session.scalar(text("SELECT pg_backend_pid()"))
        tried.append(1)
        if len(tried) <= most:
            database.read(lambda s: s.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid}))
        return session.scalar(text("SELECT 7")) or 0

    assert (other.read(look, 1), len(tried)) == (7, 2)
    with pytest.raises(OperationalError):
        other.read(look, 9)
    assert len(tried) == 4
    other.close()


def _own(server: str) -> str:
    url = make_url(server).set(drivername="postgresql+psycopg").update_query_dict({"application_name": "limits"})
    return url.render_as_string(hide_password=False)
