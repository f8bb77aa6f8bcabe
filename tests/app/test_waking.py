"""An idle worker is called on PostgreSQL, and looks for itself where nobody calls."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from app.settings import Settings
from app.worker import loop, waking
from app.worker.waking import Waking
from app.workspace import Workspace
from db.engine import Database
from db.tables import Explanation, Routing, Task, Work
from review_queue import events, jobs
from review_queue import waking as calling
from review_queue.projects import Setting
from tests import factories, real_models
from tests.app.test_worker import count

NEVER = {"score": 60.0, "jobs": 60.0, "webhooks": 60.0}


def is_postgres(database: Database) -> bool:
    return database.engine.dialect.name == "postgresql"


def soon(happened: Callable[[], bool], seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while not happened() and time.monotonic() < until:
        time.sleep(0.01)
    return happened()


@pytest.fixture
def listening(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Waking]:
    """One that listens, where there is a line, and would else look once a minute."""
    monkeypatch.setattr(waking, "CALLED_LOOKS", NEVER)
    monkeypatch.setattr(waking, "AGAIN_SECONDS", 0.1)
    stop = threading.Event()
    held = Waking(database, stop)
    held.start()
    try:
        if is_postgres(database):
            assert held.listens.wait(10)
            for topic in ("score", "jobs", "webhooks"):
                held.wait(topic, stop)  # what it was woken with
        yield held
    finally:
        stop.set()
        held.join(10)


def woken(listening: Waking, topic: calling.Topic, act: Callable[[], object]) -> float:
    """Seconds from an act until who waits for the topic is woken."""
    ended: list[float] = []
    thread = threading.Thread(target=lambda: [listening.wait(topic, threading.Event()), ended.append(time.monotonic())])
    thread.start()
    time.sleep(0.1)
    begun = time.monotonic()
    act()
    thread.join(30)
    return ended[0] - begun


def test_items_jobs_and_events_call_those_who_wait_for_them(database: Database, listening: Waking) -> None:
    if not is_postgres(database):
        pytest.skip("SQLite has no line to call on")
    held, olga = factories.setting(database), factories.person(database, "olga", "owner")
    assert woken(listening, "score", lambda: factories.submit(database, held, [factories.raw("a")])) < 5
    assert woken(listening, "jobs", lambda: database.write(jobs.ask, held.id, "export", {}, by=olga)) < 5
    database.write(events.announce, held.id, "outcome", {}, item_id=None)
    assert woken(listening, "webhooks", lambda: database.write(events.sequence)) < 5


def test_a_broken_line_falls_back_to_looking_and_comes_back(
    database: Database, listening: Waking, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_postgres(database):
        pytest.skip("SQLite has no line that could break")
    monkeypatch.setattr(waking, "AGAIN_SECONDS", 1.0)
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
    with database.engine.connect() as connection:
        assert connection.execute(text(cut)).all() == [(True,)]
    assert soon(lambda: not listening.listens.is_set())
    begun = time.monotonic()
    for _ in range(2):  # the first ends at once: what was called meanwhile is not known
        listening.wait("score", threading.Event())
    assert time.monotonic() - begun < 1.0
    assert listening.listens.wait(20)
    listening.wait("score", threading.Event())
    assert woken(listening, "score", lambda: database.write(calling.call, "score")) < 5


def test_nobody_calls_on_sqlite_and_one_looks(sqlite: Database) -> None:
    stop = threading.Event()
    held = Waking(sqlite, stop)
    held.start()
    held.join(5)
    assert not held.is_alive()
    begun = time.monotonic()
    held.wait("score", stop)
    assert waking.LOOKS["score"] <= time.monotonic() - begun + 0.01 < 2


def test_waiting_ends_with_the_work(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waking, "LOOKS", NEVER)
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    begun = time.monotonic()
    Waking(sqlite, stop).wait("jobs", stop)
    assert time.monotonic() - begun < 5


def test_an_idle_worker_scores_what_comes_in_at_once(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: Setting = real_models.setting(database)
    settings = Settings(dir=tmp_path, secret_key=factories.SECRET, device="cpu", batch_size=32)
    workspace, stop = Workspace(settings, database, factories.keys(database)), threading.Event()
    thread = threading.Thread(target=loop.run, args=(workspace,), kwargs={"device": "cpu", "stop": stop})
    thread.start()
    try:
        real_models.arrive(database, held, 5)
        assert soon(lambda: count(database, Routing) == 5, 30)  # the model is loaded now
        assert soon(lambda: count(database, Explanation) == 2 * count(database, Task) and count(database, Work) == 0, 60)
        if is_postgres(database):
            monkeypatch.setattr(waking, "CALLED_LOOKS", NEVER)
        time.sleep(1.5)  # now it is idle, and would look in a minute
        given = dict(real_models.items()[7][1])
        factories.submit(database, held, [{"external_id": "late", "input": given}])
        assert soon(lambda: count(database, Routing) == 6, 5)
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
