"""Writes that share a commit: in order, each whole by itself, and none told before it is kept."""

import multiprocessing
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from db import writer
from db.engine import Database
from db.tables import Person
from tests.db.test_engine import add, names


class Commits:
    """How often a database commits."""

    def __init__(self, database: Database) -> None:
        self.count = 0
        event.listen(database.engine, "commit", self._see)

    def _see(self, _: Any) -> None:
        self.count += 1


def behind(database: Database, acts: list[Callable[[Session], Any]]) -> list[BaseException | None]:
    """Let all acts wait behind a slow write, then let them go; what each raised."""
    begun, go = threading.Event(), threading.Event()
    failed: list[BaseException | None] = [None] * len(acts)

    def slow(session: Session) -> None:
        begun.set()
        go.wait(20)

    def one(n: int) -> None:
        try:
            database.write(acts[n])
        except BaseException as error:
            failed[n] = error

    threads = [threading.Thread(target=database.write, args=(slow,))]
    threads[0].start()
    begun.wait(20)
    for n in range(len(acts)):
        threads.append(threading.Thread(target=one, args=(n,)))
        threads[-1].start()
        while len(database._writer._waiting) <= n:  # type: ignore[union-attr]  # in this order
            time.sleep(0.001)
    time.sleep(writer.SPAN)  # the slow one's group is over
    go.set()
    for thread in threads:
        thread.join()
    return failed


def test_what_waits_shares_a_commit_in_the_order_it_came(sqlite: Database) -> None:
    commits = Commits(sqlite)
    assert behind(sqlite, [lambda s, n=n: add(s, f"p{n}") for n in range(10)]) == [None] * 10  # type: ignore[misc]
    assert commits.count == 2  # the slow one, and the ten
    assert names(sqlite) == [f"p{n}" for n in range(10)]


def test_a_write_that_fails_takes_back_itself_alone(sqlite: Database) -> None:
    def wrong(session: Session) -> None:
        add(session, "half")
        add(session, "ann")

    failed = behind(sqlite, [lambda s: add(s, "ann"), wrong, lambda s: 1 / 0, lambda s: add(s, "bob")])
    assert [type(error) for error in failed] == [type(None), IntegrityError, ZeroDivisionError, type(None)]
    assert names(sqlite) == ["ann", "bob"]


def test_changes_of_rows_that_were_not_flushed_are_kept(sqlite: Database) -> None:
    sqlite.write(add, "ann")

    def rename(session: Session) -> None:
        session.scalars(select(Person)).one().role = "lead"

    assert behind(sqlite, [rename, lambda s: add(s, "bob")]) == [None, None]
    assert sqlite.read(lambda s: s.scalars(select(Person.role).order_by(Person.id)).all()) == ["lead", "reviewer"]


def full(session: Session) -> None:
    """More than fits: SQLite then takes the whole transaction back."""
    add(session, "x" * 3_000_000)


@pytest.fixture
def small(sqlite: Database) -> Database:
    """A database that may not grow by more than a little."""

    def bound(connection: sqlite3.Connection, _: Any) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 100}")

    event.listen(sqlite.engine, "connect", bound)
    sqlite.engine.dispose()
    return sqlite


def test_a_full_disk_is_told_to_whoever_filled_it_and_the_others_are_kept(small: Database) -> None:
    failed = behind(small, [lambda s: add(s, "ann"), full, lambda s: add(s, "bob")])
    assert [type(error) for error in failed] == [type(None), OperationalError, type(None)]
    assert "full" in str(failed[1])
    assert names(small) == ["ann", "bob"]


def test_where_the_commit_fails_each_is_tried_alone(sqlite: Database) -> None:
    """A deferred foreign key is checked by the commit itself."""

    def bad(session: Session) -> None:
        session.execute(text("PRAGMA defer_foreign_keys = ON"))
        session.execute(text("INSERT INTO member_of_nothing VALUES (77)"))

    with sqlite.engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE member_of_nothing (person INTEGER REFERENCES person (id))")
        connection.commit()
    failed = behind(sqlite, [lambda s: add(s, "ann"), bad, lambda s: add(s, "bob")])
    assert [type(error) for error in failed] == [type(None), IntegrityError, type(None)]
    assert names(sqlite) == ["ann", "bob"]


def test_an_interrupted_leader_leaves_the_others_their_turn(sqlite: Database) -> None:
    def interrupted(session: Session) -> None:
        add(session, "half")
        raise KeyboardInterrupt

    failed = behind(sqlite, [interrupted, lambda s: add(s, "ann")])
    assert [type(error) for error in failed] == [KeyboardInterrupt, type(None)]
    assert names(sqlite) == ["ann"]


def test_what_is_kept_is_not_written_again_where_the_leader_is_interrupted_afterwards(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interruption comes when the turn is handed on: after the commit."""
    turns = sqlite._writer._turns  # type: ignore[union-attr]
    mine, armed = turns.mine, [False, True]  # the slow write, then the group

    @contextmanager
    def interrupted() -> Iterator[None]:
        with mine():
            yield
        if armed and armed.pop(0):
            raise KeyboardInterrupt

    monkeypatch.setattr(turns, "mine", interrupted)
    failed = behind(sqlite, [lambda s: add(s, "ann"), lambda s: add(s, "bob")])
    assert failed[1] is None
    assert names(sqlite) == ["ann", "bob"]


def test_nothing_is_told_before_it_is_kept(sqlite: Database) -> None:
    """Whoever has an answer finds what it wrote, from another connection."""
    missing: list[int] = []

    def one(n: int) -> None:
        sqlite.write(add, f"p{n}")
        if f"p{n}" not in names(sqlite):
            missing.append(n)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (missing, len(names(sqlite))) == ([], 40)


def _write_without_pause(url: str, stop: Any) -> None:
    database = Database(url)
    while not stop.is_set():
        database.write(lambda s: time.sleep(0.02))
    database.close()


def test_a_process_that_writes_without_pause_lets_others_write(sqlite: Database) -> None:
    spawn = multiprocessing.get_context("spawn")
    stop = spawn.Event()
    busy = [spawn.Process(target=_write_without_pause, args=(sqlite.url, stop)) for _ in range(2)]
    for process in busy:
        process.start()
    try:
        time.sleep(3)
        waits = []
        for n in range(20):
            begun = time.monotonic()
            sqlite.write(add, f"p{n}")
            waits.append(time.monotonic() - begun)
        assert sorted(waits)[15] < 2.0  # two turns of the others, on however busy a machine
    finally:
        stop.set()
        for process in busy:
            process.join()
    assert len(names(sqlite)) == 20
